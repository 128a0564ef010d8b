//! A call of gRPC on its way: its bodies are streams that nobody holds up and that may be silent for long, so the
//! time-outs for pieces of a body do not hold for it. In their place it ends soon after the deadline that its
//! client has set, or, without one, when neither side has said anything for as long as a tunnel may be silent.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http1::{BodyLength, Fields};
use tokio::time::Instant;

use crate::message::grpc::{self, Framing};
use crate::message::{Body, BodyStream, Failure, Request, Response};
use crate::wire::Watchdog;

/// Client and server see the deadline themselves, and shall be the first to act on it.
const GRACE: Duration = Duration::from_millis(250);
/// A client that waits longer than this may have gone without a word: its call is bounded by silence too.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// When a call is over.
#[derive(Debug, Clone)]
pub struct Call {
    end: End,
}

#[derive(Debug, Clone)]
enum End {
    Deadline(Instant),
    /// After so long without a byte of either side, the last of which came then.
    Silence(Duration, Rc<Cell<Instant>>),
}

impl Call {
    /// The call that a request is, when it is one; from here on its body is watched. `idle` is how long both
    /// sides may be silent.
    #[inline]
    pub fn begin(request: &mut Request<'_>, idle: Duration, now: Instant) -> Option<Call> {
        match Framing::of_call(&request.head) {
            Some(Framing::Native) => Some(Call::watch(request, idle, now)),
            _ => None,
        }
    }

    #[cold]
    fn watch(request: &mut Request<'_>, idle: Duration, now: Instant) -> Call {
        let end = match grpc::timeout(&request.head.fields).filter(|timeout| *timeout <= LONGEST) {
            Some(timeout) => End::Deadline(now + timeout + GRACE),
            None => End::Silence(idle, Rc::new(Cell::new(now))),
        };
        let call = Call { end };
        request.is_call.set(true);
        request.body = match std::mem::take(&mut request.body) {
            Body::Stream(stream) => Body::Stream(Box::new(Heard { stream, call: call.clone() })),
            body => body,
        };
        call
    }

    /// The answer, unless the call is over before; its body ends with the call too.
    pub async fn bound<'c>(
        self,
        watchdog: &'c Watchdog,
        answering: impl Future<Output = Result<Response<'c>, Failure>>,
    ) -> Result<Response<'c>, Failure> {
        let mut answering = pin!(answering);
        let mut response = poll_fn(|cx| match answering.as_mut().poll(cx) {
            Poll::Pending => self.poll_over(watchdog, cx).map(Err),
            ready => ready,
        })
        .await?;
        response.body = match std::mem::take(&mut response.body) {
            Body::Stream(stream) => Body::Stream(Box::new(Bounded { stream, call: self, watchdog })),
            body => body,
        };
        Ok(response)
    }

    fn poll_over(&self, watchdog: &Watchdog, cx: &mut Context<'_>) -> Poll<Failure> {
        let (end, failure) = match &self.end {
            End::Deadline(end) => (*end, Failure::CallDeadline),
            End::Silence(idle, heard) => (heard.get() + *idle, Failure::CallSilent),
        };
        if watchdog.expired(cx, end) { Poll::Ready(failure) } else { Poll::Pending }
    }

    fn hear(&self) {
        if let End::Silence(_, heard) = &self.end {
            heard.set(Instant::now());
        }
    }
}

/// The body of the request.
struct Heard<'c> {
    stream: Box<dyn BodyStream + 'c>,
    call: Call,
}

impl BodyStream for Heard<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        self.stream.poll_data(cx)
    }

    fn consume(&mut self, count: usize) {
        self.call.hear();
        self.stream.consume(count);
    }

    fn length(&self) -> BodyLength {
        self.stream.length()
    }

    fn trailers(&mut self) -> Option<Fields> {
        self.stream.trailers()
    }
}

/// The body of the answer. Whoever reads it lets go of it when it fails, and so the server hears of that.
struct Bounded<'c> {
    stream: Box<dyn BodyStream + 'c>,
    call: Call,
    watchdog: &'c Watchdog,
}

impl BodyStream for Bounded<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        let Bounded { stream, call, watchdog } = self;
        // A deadline holds also while bytes come, or are there and nobody takes them.
        if let End::Deadline(_) = call.end
            && let Poll::Ready(failure) = call.poll_over(watchdog, cx)
        {
            return Poll::Ready(Err(failure));
        }
        match stream.poll_data(cx) {
            Poll::Pending => call.poll_over(watchdog, cx).map(Err),
            ready => ready,
        }
    }

    fn consume(&mut self, count: usize) {
        self.call.hear();
        self.stream.consume(count);
    }

    fn length(&self) -> BodyLength {
        self.stream.length()
    }

    fn trailers(&mut self) -> Option<Fields> {
        self.stream.trailers()
    }
}

//! Another server is asked whether a request may go on. Only its answer of 2xx, whole and in time, lets one pass;
//! whatever else comes, or does not come, the target never hears of the request.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use http1::{Name, ResponseHead};
use tokio::time::Instant;

use super::identity::{self, Identity};
use super::question::Ask;
use super::verdict::{Verdict, unanswered};
use crate::filter::{Decision, ResponseStep};
use crate::message::{
    Body, BodyStream, Collected, Exchange, Failure, FieldName, Interim, Reading, Recycled, Request, Response,
    Stop,
};
use crate::observe::forward_auth::{Outcome, count};
use crate::observe::{Authentication, Record};
use crate::upstream::{Sending, Upstream};

/// Most bytes of the body of an answer: it is held until it is whole.
const MAX_BODY: usize = 1 << 20;

/// `forward_auth = { upstream = "auth", path = "/verify" }`
#[derive(Debug, Clone)]
pub struct ForwardAuthOptions {
    /// Name of an upstream that exists.
    pub upstream: String,
    /// `Host` of the question; the client's without it.
    pub host: Option<String>,
    pub ask: Ask,
    /// For the whole answer.
    pub timeout: Duration,
    pub identity: Arc<Identity>,
    /// Fields of an answer that lets pass, for the client.
    pub response_fields: Vec<FieldName>,
}

/// It, ready to ask.
#[derive(Debug)]
pub struct ForwardAuth {
    options: Arc<ForwardAuthOptions>,
    upstream: Arc<Upstream>,
    sending: Sending,
}

impl ForwardAuth {
    /// `sending` is without a fallback and a mirror.
    pub fn new(
        options: Arc<ForwardAuthOptions>,
        upstream: Arc<Upstream>,
        mut sending: Sending,
    ) -> ForwardAuth {
        let timeouts = &mut sending.timeouts;
        // Before the deadline of the whole, so that a server that does not answer is charged with it, and another one
        // is asked while there is time.
        timeouts.connect = timeouts.connect.min(options.timeout * 2 / 3);
        (timeouts.send, timeouts.read) = (options.timeout, options.timeout);
        let limit = sending.retry.try_timeout.map_or(options.timeout, |limit| limit.min(options.timeout));
        sending.retry.try_timeout = Some(limit);
        sending.host.clone_from(&options.host);
        ForwardAuth { options, upstream, sending }
    }

    /// Asks; the request that may go on says who sends it, and nothing that the client has said of that.
    pub async fn on_request(
        &self,
        exchange: Exchange<'_>,
        request: &mut Request<'_>,
        record: &mut Record,
    ) -> Decision<'_> {
        let identity = &self.options.identity;
        let answer = match self.ask(exchange, request, record.asked).await {
            Ok(answer) => answer,
            Err(failure) => {
                identity.strip(&mut request.head.fields);
                return fail(failure);
            }
        };
        if Verdict::of(&answer.head, identity) != Verdict::Pass {
            // Nor is it told to anybody as the service's word.
            identity.strip(&mut request.head.fields);
        }
        match Verdict::of(&answer.head, identity) {
            Verdict::Fail(failure) => fail(failure),
            Verdict::Refuse => {
                count(Outcome::Refused);
                record.authentication = Authentication::Refused;
                Decision::Answer(answer)
            }
            Verdict::Pass => {
                count(Outcome::Passed);
                identity.put(&answer.head.fields, &mut request.head.fields);
                identity::watch_trailers(identity, request);
                record.authentication = Authentication::Passed(identity.user(&answer.head.fields));
                // What the target may take, it may take from now on.
                record.asked = Instant::now();
                match self.options.response_fields.is_empty() {
                    true => Decision::Pass,
                    false => {
                        Decision::PassThen(ResponseStep::Auth(&self.options.response_fields, answer.head))
                    }
                }
            }
        }
    }

    /// The answer, whole.
    async fn ask(
        &self,
        exchange: Exchange<'_>,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<Response<'static>, Failure> {
        // What comes before the answer is for the proxy, as is the question.
        let (interim, is_call) = (Interim::default(), Cell::new(false));
        let mut own = Record::new(now, *exchange.client);
        let mut question = Request {
            head: self.options.ask.head(&self.options.identity, exchange, request)?,
            body: Body::Empty,
            id: request.id.clone(),
            upgrade: None,
            interim: &interim,
            watchdog: request.watchdog,
            is_call: &is_call,
            secured: request.secured,
        };
        let deadline = now + self.options.timeout;
        let mut asking = pin!(async {
            whole(self.upstream.send(exchange.client, &mut question, &self.sending, &mut own).await?).await
        });
        poll_fn(|cx| match asking.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome.map_err(unanswered)),
            Poll::Pending if request.watchdog.expired(cx, deadline) => Poll::Ready(Err(Failure::AuthTimeout)),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

fn fail<'p>(failure: Failure) -> Decision<'p> {
    count(match failure {
        // A value of the client's that cannot stand in the path of the question.
        Failure::BadPath(_) => Outcome::Refused,
        Failure::AuthFailed(_) => Outcome::Failed,
        _ => Outcome::Unavailable,
    });
    Decision::Fail(failure)
}

/// An answer counts when all of it is there: what broke off may have been about to say something else, and a body
/// that is read leaves a connection that can be used again. One that lets pass is read and not kept.
async fn whole(mut response: Response<'_>) -> Result<Response<'static>, Failure> {
    let body = match response.body {
        Body::Stream(mut stream) if (200..300).contains(&response.head.status) => {
            read_through(stream.as_mut()).await?;
            Body::Empty
        }
        Body::Empty => Body::Empty,
        Body::Text(text) => Body::Text(text),
        Body::Received(buffer) => Body::Received(buffer),
        Body::Stream(mut stream) => match Collected::read(stream.as_mut(), MAX_BODY).await? {
            Reading::Whole(collected) => collected.into_body(),
            Reading::Part(_, Stop::TooLarge) => return Err(Failure::UnfitAnswer("size")),
            Reading::Part(_, Stop::NoRoom) => {
                // Whoever reads refusals slowly has taken it all; the refusal stands.
                let is_about_the_body =
                    |name: &[u8]| name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
                response.head.fields.retain(|field| !is_about_the_body(field.name));
                Body::Empty
            }
        },
        Body::File(_) | Body::Upgraded(_) => return Err(Failure::UnfitAnswer("body")),
    };
    Ok(Response { head: response.head, body, announced: response.announced, is_page: false })
}

async fn read_through(stream: &mut dyn BodyStream) -> Result<(), Failure> {
    let mut read = 0;
    poll_fn(|cx| {
        loop {
            let count = ready!(stream.poll_data(cx))?.len();
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
            read += count;
            if read > MAX_BODY {
                return Poll::Ready(Err(Failure::UnfitAnswer("size")));
            }
            stream.consume(count);
        }
    })
    .await
}

/// Puts fields of an answer that let a request pass into the one for the client: in place of the target's, but
/// cookies beside them.
pub fn put(names: &[FieldName], said: &Recycled<ResponseHead>, response: &mut Response<'_>) {
    let fields = &mut response.head.fields;
    for name in names.iter().filter(|name| name.is_in(&said.fields)) {
        if name.known != Name::SetCookie {
            name.remove(fields);
        }
        for value in name.values(&said.fields) {
            name.push(fields, value);
        }
    }
}

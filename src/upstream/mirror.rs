//! Copies of requests for an upstream whose answers nobody sees: a new version under real load. A copy never
//! delays or changes the answer to the client, and when there are too many of them there is none.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Poll, ready};
use std::time::Duration;

use http1::{RequestHead, TargetForm};
use tokio::time::Instant;

use super::http1::Payload;
use super::spool::Spool;
use super::{Sending, Upstream};
use crate::message::{Body, Client, Interim, Recycled, Request, RequestId, Response, Secured};
use crate::observe::Record;
use crate::wire::Watchdog;

/// `mirror = { upstream = "shadow", percent = 10 }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorOptions {
    pub upstream: String,
    /// 1 to 100.
    pub percent: u32,
}

/// Copies under way on one worker; more are not made.
const AT_ONCE: usize = 128;
/// The largest body that is copied.
const MAX_BODY: u64 = 1 << 20;
/// Bytes of bodies under way in copies on one worker. A copy keeps the body where it is, and its quota taken
/// from real requests: a shadow that hangs must not take all of it.
const BYTES_AT_ONCE: u64 = 16 << 20;
/// So much of an answer is read for the connection to be used again.
const MOST: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

thread_local! {
    /// Copies, and the bytes of their bodies.
    static UNDER_WAY: Cell<(usize, u64)> = const { Cell::new((0, 0)) };
}

/// It, ready to copy.
#[derive(Debug)]
pub struct Mirror {
    pub upstream: Arc<Upstream>,
    /// As the route sends, but once.
    sending: Arc<Sending>,
    percent: u64,
    turn: AtomicU64,
}

/// Copies of requests to one upstream.
#[derive(Debug, Default)]
pub struct MirrorCounters {
    pub answered: AtomicU64,
    pub failed: AtomicU64,
    /// Not made: too much was under way, or the body was too large or not buffered.
    pub skipped: AtomicU64,
}

impl Mirror {
    pub fn new(options: &MirrorOptions, upstream: Arc<Upstream>, sending: Sending) -> Mirror {
        Mirror {
            upstream,
            sending: Arc::new(sending),
            percent: u64::from(options.percent),
            turn: AtomicU64::new(0),
        }
    }

    /// Sends a copy of the request on its way, if it is its turn.
    pub fn copy(&self, client: &Client, request: &Request<'_>, payload: &Payload<'_>) {
        let turn = self.turn.fetch_add(1, Relaxed);
        // As even as can be: 10 of 100 are every tenth.
        if (turn + 1) * self.percent / 100 == turn * self.percent / 100 {
            return;
        }
        let counters = &self.upstream.group.counters.mirror;
        let body = match payload {
            Payload::None => None,
            Payload::Spool(spool) => Some(spool.again()),
            Payload::Stream(_) | Payload::Spent => {
                counters.skipped.fetch_add(1, Relaxed);
                return;
            }
        };
        let bytes = body.as_ref().map_or(0, Spool::bytes);
        let Some(place) = Place::take(bytes).filter(|_| request.upgrade.is_none()) else {
            counters.skipped.fetch_add(1, Relaxed);
            return;
        };
        let copy = Copied {
            client: *client,
            head: copied(&request.head),
            id: request.id.clone(),
            body,
            secured: request.secured.cloned(),
            upstream: self.upstream.clone(),
            sending: self.sending.clone(),
        };
        tokio::task::spawn_local(async move {
            copy.send().await;
            drop(place);
        });
    }
}

/// A place among those under way, for a body of so many bytes.
struct Place {
    bytes: u64,
}

impl Place {
    fn take(bytes: u64) -> Option<Place> {
        let (count, sum) = UNDER_WAY.get();
        let fits = count < AT_ONCE && bytes <= MAX_BODY && sum.saturating_add(bytes) <= BYTES_AT_ONCE;
        fits.then(|| {
            UNDER_WAY.set((count + 1, sum + bytes));
            Place { bytes }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (count, sum) = UNDER_WAY.get();
        UNDER_WAY.set((count - 1, sum - self.bytes));
    }
}

struct Copied {
    client: Client,
    head: Recycled<RequestHead>,
    id: RequestId,
    body: Option<Spool>,
    secured: Option<Rc<Secured>>,
    upstream: Arc<Upstream>,
    sending: Arc<Sending>,
}

impl Copied {
    async fn send(self) {
        let Copied { client, head, id, body, secured, upstream, sending } = self;
        let (interim, watchdog, is_call) = (Interim::default(), Watchdog::new(), Cell::new(false));
        let mut payload = body.map_or(Payload::None, |body| Payload::Spool(Box::new(body)));
        let request = Request {
            head,
            body: Body::Empty,
            id,
            upgrade: None,
            interim: &interim,
            watchdog: &watchdog,
            is_call: &is_call,
            secured: secured.as_ref(),
        };
        let now = Instant::now();
        let mut record = Record::new(now, client);
        let outcome =
            upstream.send_prepared(&client, &request, &mut payload, &sending, now, &mut record).await;
        let counters = &upstream.group.counters.mirror;
        let answered = match outcome {
            Ok(response) => swallow(response, &watchdog).await,
            Err(_) => false,
        };
        let counter = if answered { &counters.answered } else { &counters.failed };
        counter.fetch_add(1, Relaxed);
    }
}

fn copied(head: &RequestHead) -> Recycled<RequestHead> {
    debug_assert!(head.form != TargetForm::Authority, "CONNECT is refused before");
    let mut copy = Recycled::<RequestHead>::take();
    copy.clone_from(head);
    copy
}

/// Reads an answer to its end, or far enough; false when it broke off.
async fn swallow(response: Response<'_>, watchdog: &Watchdog) -> bool {
    let Body::Stream(mut stream) = response.body else { return true };
    let mut left = MOST;
    let swallowed = watchdog
        .limit(Instant::now() + PATIENCE, |cx| {
            loop {
                let count = match ready!(stream.poll_data(cx)) {
                    Ok(data) => data.len(),
                    Err(_) => return Poll::Ready(false),
                };
                stream.consume(count);
                left = left.saturating_sub(count);
                if count == 0 || left == 0 {
                    return Poll::Ready(true);
                }
            }
        })
        .await;
    swallowed.unwrap_or(false)
}

//! One request on a stream of HTTP/2: made of its frames, handled, answered.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use ::http1::framing::request_length;
use ::http1::{BodyLength, HeadError, HeadLimits, Name, RequestHead, RequestParts, Scheme};
use ::http2::request::{Malformed, Parts};
use ::http2::{Closed, FieldBlock, Lost, Reason, Stream};
use tokio::time::Instant;

use super::answer::{self, Answer};
use super::clerks::Inbox;
use super::request_body::{BodyState, RequestBody};
use super::together::{Held, Together};
use crate::connection::entry::Connection;
use crate::connection::interim_writer;
use crate::connection::pace::Pace;
use crate::connection::serving::Current;
use crate::message::{
    self, Body, Failure, Interim, Recycled, Request, RequestId, Response, Upgrade, Upgraded, pages,
};
use crate::observe::{self, Record};
use crate::tunnel::{self, End};
use crate::wire::Watchdog;

/// What a head says about its body.
struct Wishes {
    length: BodyLength,
    expects_continue: bool,
    upgrade: Option<Upgrade>,
}

/// A request that keeps to the rules.
struct Question<'t> {
    head: Recycled<RequestHead>,
    wishes: Wishes,
    together: &'t Together,
}

/// A request as it came, its head made ours.
pub struct Asked<'t> {
    current: Rc<Current>,
    started: Instant,
    head: Recycled<RequestHead>,
    wishes: Result<Wishes, Failure>,
    stream: Stream<'t>,
    together: &'t Together,
    /// The room that its head takes.
    held: Option<Held<'t>>,
}

impl<'t> Asked<'t> {
    /// The request that began last, and came at `started`; `ends` when it has no body.
    pub fn read(
        connection: &Connection,
        together: &'t Together,
        started: Instant,
        stream: Stream<'t>,
        ends: bool,
    ) -> Asked<'t> {
        let current = connection.serving.current();
        let mut head = Recycled::<RequestHead>::take();
        let wishes = stream
            .with_fields(|fields| read_head(fields, ends, &mut head))
            .map_err(Failure::BadHead)
            .and_then(|wishes| current.entrance.admit(&head, connection.secured()).map(|()| wishes));
        let held = together.hold(&head);
        let wishes = wishes.and_then(|wishes| held.as_ref().map(|_| wishes).ok_or(Failure::HeadsTooLarge));
        // Before the first of its bytes is looked at.
        if let Ok(Wishes { length: BodyLength::Exact(length), upgrade: None, .. }) = wishes {
            stream.expect(length);
        }
        Asked { current, started, head, wishes, stream, together, held }
    }
}

impl Connection {
    /// Answers one request after another, whatever becomes of each.
    pub(super) async fn serve_streams(&self, inbox: Rc<Inbox<Asked<'_>>>) {
        // The timer of one request is there for the next, which moves it.
        let watchdog = Watchdog::new();
        loop {
            let asked = inbox.next().await;
            let Asked { current, started, head, wishes, stream, together, held } = asked;
            let mut record = self.record(started);
            record.protocol = message::Protocol::Http2;
            match wishes.and_then(|wishes| still_wanted(&stream).map(|()| wishes)) {
                Ok(wishes) => {
                    let question = Question { head, wishes, together };
                    self.answer_stream(&current, question, &stream, &watchdog, &mut record).await;
                }
                Err(failure) => self.refuse_stream(&current, failure, &head, &stream, &mut record).await,
            }
            drop((stream, held));
            inbox.done();
        }
    }

    async fn answer_stream(
        &self,
        current: &Current,
        question: Question<'_>,
        stream: &Stream<'_>,
        watchdog: &Watchdog,
        record: &mut Record,
    ) {
        let Question { head, wishes, together } = question;
        let (interim, state) = (Interim::default(), BodyState::default());
        let method = head.method;
        let mut request = Request {
            head,
            body: Body::Empty,
            id: RequestId::make(),
            upgrade: wishes.upgrade,
            interim: &interim,
            watchdog,
            is_call: &state.is_call,
            secured: self.secured(),
        };
        if wishes.length != BodyLength::NONE {
            let pace = (Pace::of(&current.limits), together);
            let expected = (wishes.length, wishes.expects_continue);
            request.body = Body::Stream(Box::new(RequestBody::new(stream, expected, pace, watchdog, &state)));
        }
        let response = {
            let mut handling = pin!(current.proxy.handle(self.client(), &mut request, record));
            poll_fn(|cx| {
                let polled = handling.as_mut().poll(cx);
                send_interim(&interim, stream);
                if polled.is_pending() && stream.poll_broken(cx).is_ready() {
                    // Nobody waits for it any more.
                    return std::task::Poll::Ready(None);
                }
                polled.map(Some)
            })
            .await
        };
        state.answered.set(true);
        match response {
            Some(mut response) => {
                current.entrance.add_fields(&mut response);
                let upgraded = take_upgraded(&mut response);
                match upgraded {
                    Some(upgraded) => {
                        let idle = current.limits.tunnel_idle_timeout;
                        let opened = answer::open_tunnel(stream, &response);
                        let client = opened.map(|()| End::client_stream(stream));
                        Box::pin(join(client, *upgraded, idle, watchdog, record)).await;
                    }
                    None => {
                        if wishes.upgrade.is_some() && (200..300).contains(&response.head.status) {
                            // The client would take it for the tunnel that it asked for.
                            record.failure = Some(Failure::BadUpgrade);
                            response = pages::explain(Failure::BadUpgrade, &request.head, &request.id);
                        }
                        record.answered(response.head.status);
                        let is_call = state.is_call.get();
                        let pace = if is_call {
                            // A reader that holds a stream up does what it may; it is as silent as a tunnel.
                            Pace::new(0, Duration::ZERO, current.limits.tunnel_idle_timeout)
                        } else {
                            Pace::of(&current.limits)
                        };
                        let begun = if record.failure == Some(Failure::ClientClosed) {
                            Err(Failure::ClientClosed)
                        } else {
                            let call = is_call.then_some(&request.id);
                            Answer::begin(stream, method, response, call)
                        };
                        // What is said of a failure is no work of the client's.
                        let counts = !is_call && record.failure.is_none();
                        let together = counts.then_some(together);
                        write(begun, pace, together, watchdog, record).await;
                    }
                }
            }
            None => {
                record.failure = Some(Failure::ClientGone);
                record.status = 499;
                record.upstream_time = record.asked.elapsed();
            }
        }
        record.received += state.received.get();
        let (head, id) = request.into_answered();
        observe::note(&current.proxy.line(record, &head, &id), Instant::now());
    }

    /// A request that breaks the rules of the version is reset; one that is only too large, or in the wrong
    /// place, is told so.
    async fn refuse_stream(
        &self,
        current: &Current,
        failure: Failure,
        head: &RequestHead,
        stream: &Stream<'_>,
        record: &mut Record,
    ) {
        let id = RequestId::make();
        let mut response = current.proxy.refuse(failure, head, &id, record);
        current.entrance.add_fields(&mut response);
        if is_malformed(failure) {
            stream.reset(Reason::ProtocolError);
        } else if failure == Failure::HeadsTooLarge {
            // Nothing was done: the client may ask again, when there is room (RFC 9113 section 8.7).
            stream.reset(Reason::RefusedStream);
        } else {
            let begun = Answer::begin(stream, head.method, response, None);
            let failure = record.failure;
            write(begun, Pace::of(&current.limits), None, &Watchdog::new(), record).await;
            record.failure = failure;
        }
        observe::note(&current.proxy.line(record, head, &id), Instant::now());
    }
}

/// A request may have come and gone in one breath: nothing of it goes to an origin.
fn still_wanted(stream: &Stream<'_>) -> Result<(), Failure> {
    match stream.lost() {
        None => Ok(()),
        Some(Lost::Gone) => Err(Failure::ClientGone),
        Some(Lost::Malformed) => Err(Failure::BodyMismatch),
    }
}

/// Writes the body of an answer and notes what became of it.
async fn write(
    begun: Result<Answer<'_>, Failure>,
    mut pace: Pace,
    together: Option<&Together>,
    watchdog: &Watchdog,
    record: &mut Record,
) {
    let outcome = match begun {
        Ok(mut answer) => {
            let written = answer.write(&mut pace, together, watchdog).await;
            record.sent = answer.written;
            written
        }
        Err(failure) => Err(failure),
    };
    if let Err(failure) = outcome {
        record.failure = Some(failure);
    }
}

/// Joins the stream to the origin's connection (RFC 8441).
async fn join(
    client: Result<End<'_>, Closed>,
    upgraded: Upgraded,
    idle_timeout: Duration,
    watchdog: &Watchdog,
    record: &mut Record,
) {
    record.status = 200;
    let Ok(client) = client else {
        record.failure = Some(Failure::ClientClosed);
        return;
    };
    let moved = tunnel::join_upgraded(client, upgraded, idle_timeout, watchdog).await;
    record.received += moved.from_client;
    record.sent += moved.to_client;
}

fn is_malformed(failure: Failure) -> bool {
    match failure {
        Failure::BadHead(error) => !matches!(
            error,
            HeadError::TargetTooLong
                | HeadError::FieldTooLong
                | HeadError::HeadTooLong
                | HeadError::TooManyFields
                | HeadError::BadExpectation
        ),
        _ => false,
    }
}

/// Sends what came before the final answer.
fn send_interim(interim: &Interim, stream: &Stream<'_>) {
    if interim.is_empty() {
        return;
    }
    for came in interim.drain() {
        // A client that is gone shows so when the final answer is written.
        let _ = stream.send_interim(came.status, |head| {
            interim_writer::fields(&came).for_each(|field| head.field(field.name, field.value));
        });
    }
}

/// Makes a head of the fields that came; `ends` when no body follows.
fn read_head(fields: &FieldBlock, ends: bool, head: &mut RequestHead) -> Result<Wishes, HeadError> {
    if fields.is_too_large() {
        return Err(HeadError::HeadTooLong);
    }
    let parts = Parts::read(fields).map_err(|Malformed| HeadError::BadSyntax)?;
    let (method, upgrade) = match parts.protocol {
        // What an extended CONNECT asks for is what a GET asks for that wants to change the protocol.
        Some(b"websocket") => (&b"GET"[..], Some(Upgrade::BareWebSocket)),
        Some(_) => return Err(HeadError::BadSyntax),
        None => (parts.method, None),
    };
    let scheme = match parts.scheme {
        b"https" => Scheme::Https,
        b"http" | b"" => Scheme::Http,
        _ => return Err(HeadError::BadTarget),
    };
    let request = RequestParts { method, scheme, authority: parts.authority, target: parts.path };
    head.assemble(request, parts.fields(), &HeadLimits::STRICT)?;
    let announced = request_length(head)?;
    let told = head.fields.contains(Name::ContentLength);
    let length = match (ends, told) {
        (true, _) if announced != BodyLength::NONE => return Err(HeadError::BadLength),
        (true, _) => BodyLength::NONE,
        (false, true) => announced,
        (false, false) => BodyLength::Chunked,
    };
    if upgrade.is_some() {
        // The bytes that follow are those of the new protocol, and they have no length.
        let plain = !ends && !told;
        let wishes = Wishes { length: BodyLength::NONE, expects_continue: false, upgrade };
        return if plain { Ok(wishes) } else { Err(HeadError::UpgradeWithBody) };
    }
    Ok(Wishes { length, expects_continue: head.expects_continue()?, upgrade: None })
}

fn take_upgraded(response: &mut Response<'_>) -> Option<Box<Upgraded>> {
    match std::mem::take(&mut response.body) {
        Body::Upgraded(upgraded) => Some(upgraded),
        body => {
            response.body = body;
            None
        }
    }
}

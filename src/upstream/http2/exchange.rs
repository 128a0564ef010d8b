//! One request over a stream: send it, read the head of the answer, and then the body as fast as the client takes
//! it. The request may still be on its way while the answer comes.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use h2::client::ResponseFuture;
use http1::framing::response_length;
use http1::{BodyLength, Method, Name, RequestHead, ResponseHead};
use tokio::time::Instant;

use super::body::AnswerBody;
use super::error::before_answer;
use super::head;
use super::session::Place;
use super::upload::Upload;
use crate::message::{Body, Failure, Far, Interim, Recycled, Request, Response, Upgraded, websocket};
use crate::upstream::Timeouts;
use crate::upstream::forward::Facts;
use crate::upstream::http1::{Left, MAX_INTERIM, Payload, Try, Unanswered};
use crate::wire::Watchdog;

/// Sends a request over a place of its own and reads the head of the answer. Of a body that cannot be read
/// twice, what was not given away goes back into `payload` with a failure.
pub async fn exchange<'c>(
    place: Place,
    request: &Request<'c>,
    facts: &Facts<'_>,
    payload: &mut Payload<'c>,
    this: Try,
) -> Result<Response<'c>, Box<Unanswered>> {
    let reused = this.reused;
    let own = payload.turn();
    let secure = place.endpoint().approach.is_secure();
    let upgrade = request.upgrade;
    if upgrade.is_some() && !place.session().takes_extended_connect() {
        *payload = own;
        return Err(unanswered(&place, Failure::BadUpgrade, reused, 0, false));
    }
    let sent = head::request(&request.head, facts, secure).and_then(|head| {
        let ends = own.is_none() && upgrade.is_none();
        place.send(head, ends).map_err(|error| {
            place.session().close();
            // What is not sent at all was not looked at.
            error.as_ref().map_or(Failure::ClosedBeforeAnswer, before_answer)
        })
    });
    let (answer, stream) = match sent {
        Ok(sent) => sent,
        Err(failure) => {
            *payload = own;
            return Err(unanswered(&place, failure, reused, 0, false));
        }
    };
    let mut exchange = Exchange {
        answer,
        upload: Upload::new(stream, own),
        interim: request.interim,
        interim_count: 0,
        watchdog: request.watchdog,
        timeouts: this.timeouts,
        moved: this.now,
        limit: this.limit.map(|limit| this.now + limit),
        place,
    };
    let method = request.head.method;
    match std::future::poll_fn(|cx| exchange.poll_head(method, cx)).await {
        Ok(answered) => {
            exchange.place.note_answer();
            exchange.place.endpoint().note_answer(answered.head.status, || this.now.elapsed());
            match upgrade {
                Some(_) if (200..300).contains(&answered.head.status) => {
                    Ok(exchange.into_tunnel(answered, &request.head))
                }
                _ => Ok(exchange.into_response(answered)),
            }
        }
        Err(failure) => {
            let Exchange { answer, place, upload, interim_count, timeouts, limit, .. } = exchange;
            drop(answer);
            let was_patient = limit.is_none_or(|limit| Instant::now() < limit);
            if matches!(failure, Failure::ReadTimeout | Failure::SendTimeout) && was_patient {
                place.session().doubt(timeouts.read);
            }
            // The head at least.
            let written = upload.written + 1;
            if let Some(own) = upload.into_untouched() {
                *payload = own;
            }
            Err(unanswered(&place, failure, reused, written, interim_count > 0))
        }
    }
}

#[cold]
fn unanswered(
    place: &Place,
    failure: Failure,
    reused: bool,
    written: u64,
    answered: bool,
) -> Box<Unanswered> {
    let endpoint = place.endpoint();
    let is_stale = reused && !answered && failure == Failure::ClosedBeforeAnswer;
    // What was not sent, or not looked at, says nothing about the endpoint.
    if !is_stale && written > 0 && failure != Failure::StreamRefused {
        endpoint.note_failure(failure);
    }
    // A reset is about this request; that the connection served others does not make it stale.
    let reused = reused && failure != Failure::StreamReset;
    Box::new(Unanswered { failure, reused, written, answered, left: Left::Stream(endpoint.clone()) })
}

struct Exchange<'c> {
    answer: ResponseFuture,
    upload: Upload<'c>,
    interim: &'c Interim,
    interim_count: u8,
    watchdog: &'c Watchdog,
    timeouts: Timeouts,
    /// When the origin last took or gave something.
    moved: Instant,
    /// The head of the answer comes until then or not at all.
    limit: Option<Instant>,
    /// Behind the halves of the stream: its place is free when they are gone.
    place: Place,
}

struct Answered {
    head: Recycled<ResponseHead>,
    length: BodyLength,
    announced: Option<u64>,
    stream: h2::RecvStream,
}

impl<'c> Exchange<'c> {
    fn poll_head(&mut self, method: Method, cx: &mut Context<'_>) -> Poll<Result<Answered, Failure>> {
        let was_running = self.upload.is_running();
        if was_running && self.upload.advance(cx)? {
            self.moved = Instant::now();
        }
        match self.poll_final_head(method, cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            // While the client's body is waited for, its own deadline holds.
            Poll::Pending if self.upload.is_running() && self.upload.starved => Poll::Pending,
            Poll::Pending if self.watchdog.expired(cx, self.deadline()) => {
                let sending = self.upload.is_running();
                Poll::Ready(Err(if sending { Failure::SendTimeout } else { Failure::ReadTimeout }))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn deadline(&self) -> Instant {
        let patience = if self.upload.is_running() { self.timeouts.send } else { self.timeouts.read };
        let deadline = self.moved + patience;
        self.limit.map_or(deadline, |limit| deadline.min(limit))
    }

    /// Interim answers are handed to the client's side, all that are here: too many show at once.
    fn poll_final_head(&mut self, method: Method, cx: &mut Context<'_>) -> Poll<Result<Answered, Failure>> {
        let mut handed_on = false;
        while let Poll::Ready(Some(interim)) = self.answer.poll_informational(cx) {
            let interim = interim.map_err(|error| before_answer(&error))?;
            self.interim_count += 1;
            match interim.status().as_u16() {
                _ if self.interim_count > MAX_INTERIM => {
                    return Poll::Ready(Err(Failure::TooManyInterim));
                }
                // There is no such thing in this version (RFC 9113 section 8.6).
                101 => return Poll::Ready(Err(Failure::BadUpgrade)),
                // 100 is ours to send: the client's `Expect` does not go upstream.
                100 => {}
                _ => {
                    let head = head::response(interim.status(), interim.headers());
                    self.interim.push(head.map_err(Failure::BadAnswer)?);
                    handed_on = true;
                }
            }
        }
        if handed_on {
            // Let the connection write them before the final answer is looked at.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let answer = ready!(Pin::new(&mut self.answer).poll(cx)).map_err(|error| before_answer(&error))?;
        let (parts, stream) = answer.into_parts();
        let head = head::response(parts.status, &parts.headers).map_err(Failure::BadAnswer)?;
        let framing = response_length(&head, method).map_err(Failure::BadAnswer)?;
        let length = match framing.length {
            _ if stream.is_end_stream() => BodyLength::NONE,
            BodyLength::UntilClose => BodyLength::Chunked,
            length => length,
        };
        Poll::Ready(Ok(Answered { head, length, announced: framing.announced, stream }))
    }

    /// The stream is a tunnel from here on (RFC 8441 section 5), which every version knows as a 101.
    fn into_tunnel(self, answered: Answered, asked: &RequestHead) -> Response<'c> {
        let mut head = Recycled::<ResponseHead>::take();
        head.set_status(101);
        for field in answered.head.fields.iter() {
            if field.known == Name::ContentLength || field.name.eq_ignore_ascii_case(websocket::ACCEPT) {
                continue;
            }
            head.fields.push(field.known, field.name, field.value);
        }
        // A client with a key wants to see that it was understood.
        if let Some(key) = asked.fields.all_named(websocket::KEY).next() {
            let accept = websocket::accept_for(key);
            head.fields.push(Name::Other, b"Sec-WebSocket-Accept", accept.as_bytes());
        }
        let far = Far::Stream(answered.stream, self.upload.into_stream());
        let body = Body::Upgraded(Box::new(Upgraded { far, held: Box::new(self.place) }));
        Response { head, body, announced: None, is_page: false }
    }

    fn into_response(self, answered: Answered) -> Response<'c> {
        let Answered { head, length, announced, stream } = answered;
        // An answer that is complete; the rest of the request is not wanted any more.
        let body = if length == BodyLength::NONE && stream.is_end_stream() {
            Body::Empty
        } else {
            let Exchange { upload, watchdog, timeouts, place, .. } = self;
            Body::Stream(Box::new(AnswerBody::new(stream, upload, place, length, watchdog, timeouts)))
        };
        Response { head, body, announced, is_page: false }
    }
}

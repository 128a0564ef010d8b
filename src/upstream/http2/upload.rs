//! The body of a request on its way to the origin, as fast as that takes it.

use std::task::{Context, Poll};

use bytes::Bytes;
use h2::SendStream;
use http1::name::is_allowed_in_trailers;

use crate::message::Failure;
use crate::message::convert::header_map;
use crate::upstream::http1::Payload;
use crate::wire::stream;

pub struct Upload<'c> {
    stream: SendStream<Bytes>,
    payload: Payload<'c>,
    state: State,
    /// It is the client's body that is waited for, not the origin.
    pub starved: bool,
    /// Body bytes that were handed to the engine.
    pub written: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Done,
    /// The origin takes no more; it may still answer.
    Refused,
}

impl<'c> Upload<'c> {
    /// Without a payload the head has ended the stream.
    pub fn new(stream: SendStream<Bytes>, payload: Payload<'c>) -> Upload<'c> {
        let state = if payload.is_none() { State::Done } else { State::Running };
        Upload { stream, payload, state, starved: false, written: 0 }
    }

    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// The half of the stream that the request goes on.
    pub fn into_stream(self) -> SendStream<Bytes> {
        self.stream
    }

    /// The payload, when nothing of it was given away.
    pub fn into_untouched(self) -> Option<Payload<'c>> {
        (self.written == 0 && self.state != State::Done).then_some(self.payload)
    }

    /// Sends what the origin takes; true when that was something. A failure is one of the body's source: the
    /// client.
    pub fn advance(&mut self, cx: &mut Context<'_>) -> Result<bool, Failure> {
        let before = self.written;
        self.starved = false;
        while self.state == State::Running {
            if !self.step(cx)? {
                break;
            }
        }
        Ok(self.written != before || self.state == State::Done)
    }

    /// False when something has to be waited for.
    fn step(&mut self, cx: &mut Context<'_>) -> Result<bool, Failure> {
        let Some(source) = self.payload.source() else {
            self.state = State::Done;
            return Ok(true);
        };
        let data = match source.poll_data(cx) {
            Poll::Pending => {
                self.starved = true;
                return Ok(false);
            }
            Poll::Ready(data) => data?,
        };
        if data.is_empty() {
            let trailers = source.trailers().map(|fields| {
                let mut lines = Vec::new();
                fields.write_lines(&mut lines, |field| is_allowed_in_trailers(field.name));
                header_map(&lines)
            });
            let ended = match trailers.filter(|trailers| !trailers.is_empty()) {
                Some(trailers) => self.stream.send_trailers(trailers),
                None => self.stream.send_data(Bytes::new(), true),
            };
            self.state = if ended.is_ok() { State::Done } else { State::Refused };
            return Ok(true);
        }
        match stream::poll_send(&mut self.stream, data, false, cx) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(count)) => {
                source.consume(count);
                self.written += count as u64;
            }
            Poll::Ready(Err(stream::Closed)) => self.state = State::Refused,
        }
        Ok(true)
    }
}

//! What goes to the peer: frames in one run of bytes, and who may add DATA to it. Nothing is sent beyond the windows,
//! and no more waits than the socket should have before it; streams that wait get their shares in turn.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use crate::frame::{self, END_HEADERS, END_STREAM, HEAD, MAX_PAYLOAD, Reason, number};
use crate::hpack::Encoder;
use crate::settings::{DEFAULT_WINDOW, Limits, MAX_WINDOW};
use crate::table::{Entry, Key, Sending, Table};

/// A frame of DATA has so many bytes at least, if there are so many and the windows take them: room for less is not
/// worth a frame.
const LEAST: usize = 4 << 10;
/// Memory that output keeps while it is empty.
const KEPT: usize = 16 << 10;

/// Whoever read the stream does so no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// What was sent, for whoever weighs what a client does against what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Frames of DATA that held some.
    pub data: u32,
    /// Answers that came to their end.
    pub ended: u32,
    /// Streams that were reset because the client broke a rule, or asked for too much.
    pub refused: u32,
}

pub(crate) struct Output {
    bytes: Vec<u8>,
    /// So many of them are with the socket.
    gone: usize,
    most: usize,
    pub encoder: Encoder,
    /// DATA that the peer takes, over all streams.
    pub window: i64,
    /// What a stream's window begins with.
    pub initial_window: i64,
    pub max_payload: usize,
    /// Of window and room, set aside for streams that are about to send.
    granted: usize,
    waiting: VecDeque<Key>,
    pub sent: Sent,
}

impl Output {
    pub fn new(limits: &Limits) -> Output {
        Output {
            bytes: Vec::new(),
            gone: 0,
            most: limits.output,
            encoder: Encoder::new(),
            window: i64::from(DEFAULT_WINDOW),
            initial_window: i64::from(DEFAULT_WINDOW),
            max_payload: MAX_PAYLOAD,
            granted: 0,
            waiting: VecDeque::new(),
            sent: Sent::default(),
        }
    }

    /// Not with the socket yet.
    pub fn pending(&self) -> &[u8] {
        self.bytes.get(self.gone..).unwrap_or_default()
    }

    /// The socket took so many bytes.
    pub fn advance(&mut self, count: usize, streams: &mut Table) {
        self.gone += count.min(self.bytes.len() - self.gone);
        if self.gone == self.bytes.len() {
            self.bytes.clear();
            self.gone = 0;
        } else if self.gone >= self.most {
            self.bytes.drain(..self.gone);
            self.gone = 0;
        }
        self.grant(streams);
    }

    /// Gives memory back while nothing is pending.
    pub fn rest(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > 0 {
            self.bytes = Vec::new();
            self.waiting = VecDeque::new();
        }
    }

    /// Memory beyond what is usual, when nothing is pending.
    pub fn settle(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            self.bytes.shrink_to(KEPT);
        }
    }

    /// For frames of the connection, which wait for nothing.
    pub fn frames(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// As much waits for the socket as may.
    pub fn is_full(&self) -> bool {
        self.pending().len() >= self.most
    }

    /// How much of `wanted` bytes may be added now, and is not set aside for others.
    fn share(&self, wanted: usize) -> usize {
        let window = usize::try_from(self.window).unwrap_or(0).saturating_sub(self.granted);
        let room = self.most.saturating_sub(self.pending().len()).saturating_sub(self.granted);
        let wanted = wanted.min(window).min(MAX_PAYLOAD);
        if room < wanted.min(LEAST) { 0 } else { wanted.min(room) }
    }

    /// Gives those that wait their shares, while there are any.
    pub fn grant(&mut self, streams: &mut Table) {
        while let Some(key) = self.waiting.front() {
            if let Some(entry) = streams.get(*key).filter(|entry| entry.sending == Sending::Body) {
                let wanted = usize::try_from(entry.window).unwrap_or(0).min(entry.wanted);
                let share = self.share(wanted);
                if share == 0 && wanted > 0 {
                    return;
                }
                entry.queued = false;
                entry.granted = share;
                self.granted += share;
                entry.writer.wake();
            }
            self.waiting.pop_front();
        }
    }

    /// A stream does not wait any more.
    pub fn withdraw(&mut self, key: Key, entry: &mut Entry) {
        self.ungrant(entry);
        if std::mem::take(&mut entry.queued) {
            self.waiting.retain(|waiting| *waiting != key);
        }
    }

    /// What was set aside for a stream is free again.
    fn ungrant(&mut self, entry: &mut Entry) {
        self.granted = self.granted.saturating_sub(std::mem::take(&mut entry.granted));
    }

    /// Adds the beginning of `data`, which is not empty, as one frame; how much that was. With the last of it the
    /// stream ends, if `last` holds.
    pub fn poll_data(
        &mut self,
        key: Key,
        entry: &mut Entry,
        data: &[u8],
        last: bool,
        cx: &Context<'_>,
    ) -> Poll<Result<usize, Closed>> {
        if entry.sending != Sending::Body {
            return Poll::Ready(Err(Closed));
        }
        let window = usize::try_from(entry.window).unwrap_or(0);
        let wanted = data.len().min(window);
        let share = if entry.granted > 0 {
            entry.granted
        } else if self.waiting.is_empty() {
            self.share(wanted)
        } else {
            0
        };
        // Nothing stays set aside that is not used now.
        self.ungrant(entry);
        let count = share.min(wanted).min(self.max_payload);
        let Some(piece) = data.get(..count).filter(|piece| !piece.is_empty()) else {
            entry.wanted = data.len();
            // Without a window of its own it waits for the peer, not for its turn.
            if window > 0 && !entry.queued {
                entry.queued = true;
                self.waiting.push_back(key);
            }
            entry.writer.wait(cx);
            return Poll::Pending;
        };
        self.window -= count as i64;
        entry.window -= count as i64;
        let ends = last && count == data.len();
        let flags = if ends { END_STREAM } else { 0 };
        self.bytes.extend_from_slice(&frame::head(count, number::DATA, flags, entry.id));
        self.bytes.extend_from_slice(piece);
        self.sent.data += 1;
        if ends {
            self.ended(entry);
        }
        Poll::Ready(Ok(count))
    }

    /// Ends a stream behind what was sent on it.
    pub fn end(&mut self, entry: &mut Entry) -> Result<(), Closed> {
        if entry.sending != Sending::Body {
            return Err(Closed);
        }
        self.bytes.extend_from_slice(&frame::head(0, number::DATA, END_STREAM, entry.id));
        self.ended(entry);
        Ok(())
    }

    fn ended(&mut self, entry: &mut Entry) {
        self.ungrant(entry);
        entry.sending = Sending::Ended;
        self.sent.ended += 1;
    }

    /// Adds a head or trailers: whatever `write` puts behind the bytes that it is given is their block.
    pub fn block(&mut self, entry: &mut Entry, ends: bool, write: impl FnOnce(&mut Encoder, &mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; HEAD]);
        self.encoder.begin(&mut self.bytes);
        write(&mut self.encoder, &mut self.bytes);
        let length = self.bytes.len() - start - HEAD;
        let flags = if ends { END_STREAM } else { 0 };
        if length > self.max_payload {
            self.split(start, flags, entry.id);
        } else if let Some(place) = self.bytes.get_mut(start..start + HEAD) {
            place.copy_from_slice(&frame::head(length, number::HEADERS, flags | END_HEADERS, entry.id));
        }
        if ends {
            self.ended(entry);
        }
    }

    /// Makes several frames of a block that is too long for one (RFC 9113 section 4.3).
    #[cold]
    fn split(&mut self, start: usize, flags: u8, stream: u32) {
        let block = self.bytes.split_off(start);
        let pieces = block.get(HEAD..).unwrap_or_default().chunks(self.max_payload);
        let last = pieces.len() - 1;
        for (index, piece) in pieces.enumerate() {
            let (kind, first) = if index == 0 { (number::HEADERS, flags) } else { (number::CONTINUATION, 0) };
            let flags = first | if index == last { END_HEADERS } else { 0 };
            self.bytes.extend_from_slice(&frame::head(piece.len(), kind, flags, stream));
            self.bytes.extend_from_slice(piece);
        }
    }

    /// Breaks a stream off.
    pub fn reset(&mut self, id: u32, reason: Reason) {
        frame::reset(&mut self.bytes, id, reason);
    }

    /// The peer takes so much more, of all streams together. An error when that is too much.
    pub fn widen(&mut self, increment: u32, streams: &mut Table) -> Result<(), Reason> {
        self.window += i64::from(increment);
        if self.window > MAX_WINDOW {
            return Err(Reason::FlowControlError);
        }
        self.grant(streams);
        Ok(())
    }

    /// The peer takes so much more of one stream. An error when that is too much.
    pub fn widen_stream(&mut self, key: Key, increment: u32, streams: &mut Table) -> Result<(), Reason> {
        let Some(entry) = streams.get(key) else { return Ok(()) };
        entry.window += i64::from(increment);
        if entry.window > MAX_WINDOW {
            return Err(Reason::FlowControlError);
        }
        entry.writer.wake();
        Ok(())
    }

    /// The peer changed what windows begin with, and so all that there are (RFC 9113 section 6.9.2).
    pub fn change_initial_window(&mut self, size: u32, streams: &mut Table) -> Result<(), Reason> {
        let change = i64::from(size) - self.initial_window;
        self.initial_window = i64::from(size);
        for entry in streams.each() {
            entry.window += change;
            if entry.window > MAX_WINDOW {
                return Err(Reason::FlowControlError);
            }
            if change > 0 {
                entry.writer.wake();
            }
        }
        Ok(())
    }
}

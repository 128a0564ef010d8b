//! How streams and connections end: who says so, with which error, and what is given back (RFC 9113 sections 5.4 and
//! 6.8).

use crate::connection::State;
use crate::frame::{self, Reason};
use crate::table::{Broken, Key, Sending};

/// Ids up to here may be used before the client has heard how many streams it may have.
const UNAWARE: u32 = 2000;
/// The payload of the PING behind the first of our last words.
pub(crate) const FAREWELL: [u8; 8] = *b"farewell";

/// How far we are with going away (RFC 9113 section 6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    No,
    /// Announced; what the client asks until it has heard of it is still answered.
    Announced,
    /// Streams behind the last one are not looked at.
    Gone {
        last: u32,
    },
}

impl State {
    /// The client broke a rule on a stream, or may not have it. Said once: it may not have heard of it, or of a reset
    /// of ours.
    pub(crate) fn refuse(&mut self, id: u32, reason: Reason) {
        let key = self.streams.find(id);
        let is_live = key.and_then(|key| self.streams.get(key)).is_some_and(|entry| entry.broken.is_none());
        if !is_live && self.streams.was_reset_here(id) {
            return;
        }
        let is_unaware = reason == Reason::RefusedStream && !self.input.is_aware && id < UNAWARE;
        self.output.sent.refused += u32::from(!is_unaware);
        self.output.reset(id, reason);
        self.streams.remember_reset(id);
        self.break_off(key, Broken::Malformed);
    }

    /// Nobody reads a stream any more nor sends on it.
    pub(crate) fn break_off(&mut self, key: Option<Key>, broken: Broken) {
        let Some(entry) = key.and_then(|key| self.streams.get(key)) else { return };
        entry.break_off(broken);
        let held = std::mem::take(&mut entry.incoming.held);
        if let Some((key, entry)) = key.and_then(|key| Some((key, self.streams.get(key)?))) {
            self.output.withdraw(key, entry);
        }
        self.release(held);
        self.output.grant(&mut self.streams);
    }

    /// Whoever served a stream is done with it.
    pub(crate) fn close(&mut self, key: Key) {
        let Some(entry) = self.streams.get(key) else { return };
        let reason = match (entry.broken, entry.sending, entry.incoming.ended) {
            (Some(_), _, _) | (None, Sending::Ended, true) => None,
            // The answer is whole, the rest of the request is not wanted (RFC 9113 section 8.1).
            (None, Sending::Ended, false) => Some(Reason::NoError),
            (None, Sending::Head | Sending::Body, _) => Some(Reason::Cancel),
        };
        if let Some(reason) = reason {
            self.output.reset(key.id, reason);
            self.streams.remember_reset(key.id);
        }
        self.break_off(Some(key), Broken::Gone);
        self.streams.close(key);
    }

    pub(crate) fn reset(&mut self, key: Key, reason: Reason) {
        if self.streams.get(key).is_some_and(|entry| entry.broken.is_none()) {
            // A reset that its client brought about counts as one of the client's.
            let is_ours = matches!(reason, Reason::NoError | Reason::InternalError | Reason::Cancel);
            self.output.sent.refused += u32::from(!is_ours);
            self.output.reset(key.id, reason);
            self.streams.remember_reset(key.id);
            self.break_off(Some(key), Broken::Gone);
        }
    }

    /// Announces that nothing new is to be asked.
    pub(crate) fn announce_end(&mut self) {
        if self.input.leaving == Leaving::No {
            self.input.leaving = Leaving::Announced;
            frame::go_away(self.output.frames(), 0x7fff_ffff, Reason::NoError);
            frame::ping(self.output.frames(), 0, &FAREWELL);
        }
    }

    /// Says the last stream that is answered.
    pub(crate) fn go_away(&mut self, reason: Reason) {
        let last = match self.input.leaving {
            // Said already.
            Leaving::Gone { .. } if reason == Reason::NoError => return,
            // It may not become larger again.
            Leaving::Gone { last } => last,
            Leaving::No | Leaving::Announced => self.input.last,
        };
        self.input.leaving = Leaving::Gone { last };
        frame::go_away(self.output.frames(), last, reason);
    }
}

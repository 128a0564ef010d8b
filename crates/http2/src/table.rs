//! The streams of a connection: found by their id when a frame comes, by their place when whoever serves one calls.

use std::task::{Context, Waker};

use crate::frame::Reason;
use crate::hpack::FieldBlock;

/// Bytes of a body that a stream keeps memory for when it is over.
const KEPT: usize = 16 << 10;
/// Streams that were reset here, and may still get frames that were under way.
const REMEMBERED: usize = 128;

/// Where a stream is in the table, as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub(crate) id: u32,
    place: u32,
}

/// How far the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sending {
    #[default]
    Head,
    Body,
    Ended,
}

/// Who broke a stream off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The client, or the connection is gone, or we did it ourselves.
    Gone,
    /// The client broke a rule.
    Malformed,
}

/// One stream, from its head until both sides and whoever serves it are done.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub id: u32,
    pub incoming: Incoming,
    pub sending: Sending,
    pub broken: Option<Broken>,
    /// Bytes of DATA that may be sent; settings may make it negative (RFC 9113 section 6.9.2).
    pub window: i64,
    /// Bytes of the connection's window that are set aside for it.
    pub granted: usize,
    /// It is in the queue of those that wait for the connection, with so many bytes.
    pub queued: bool,
    pub wanted: usize,
    pub writer: Call,
}

/// What comes on a stream.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// Received and not taken.
    pub data: Vec<u8>,
    /// Bytes that the client may send.
    pub window: i64,
    /// Bytes that were received and not given back.
    pub held: u32,
    /// Bytes that were given back and not told.
    pub untold: u32,
    /// Bytes that are still to come, by the length that was told.
    pub left: Option<u64>,
    pub ended: bool,
    pub trailers: Option<Box<FieldBlock>>,
    pub reader: Call,
}

/// Who is to be called when there is something.
#[derive(Debug, Default)]
pub(crate) struct Call {
    waker: Option<Waker>,
    waits: bool,
}

impl Call {
    #[inline]
    pub fn wait(&mut self, cx: &Context<'_>) {
        self.waits = true;
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }

    #[inline]
    pub fn wake(&mut self) {
        if std::mem::take(&mut self.waits)
            && let Some(waker) = &self.waker
        {
            waker.wake_by_ref();
        }
    }
}

impl Entry {
    /// The head of an answer may still be sent.
    pub fn is_answerable(&self) -> bool {
        self.broken.is_none() && self.sending == Sending::Head
    }

    /// Nothing more is taken from it nor given to it.
    pub fn break_off(&mut self, broken: Broken) {
        self.broken.get_or_insert(broken);
        self.incoming.data.clear();
        self.incoming.data.shrink_to(KEPT);
        self.incoming.trailers = None;
        self.incoming.ended = true;
        self.sending = Sending::Ended;
        self.incoming.reader.wake();
        self.writer.wake();
    }
}

/// All streams of a connection.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Ids, ascending, and their places.
    by_id: Vec<(u32, u32)>,
    resets: Vec<u32>,
    next_reset: usize,
}

impl Table {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Begins a stream whose id is larger than all before.
    pub fn open(&mut self, id: u32, incoming: i64, window: i64) -> Key {
        let place = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            self.entries.len() as u32 - 1
        });
        if let Some(entry) = self.entries.get_mut(place as usize) {
            entry.id = id;
            entry.incoming.window = incoming;
            entry.window = window;
        }
        self.by_id.push((id, place));
        Key { id, place }
    }

    pub fn find(&self, id: u32) -> Option<Key> {
        let at = self.by_id.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.by_id.get(at).map(|&(id, place)| Key { id, place })
    }

    #[inline]
    pub fn get(&mut self, key: Key) -> Option<&mut Entry> {
        self.entries.get_mut(key.place as usize).filter(|entry| entry.id == key.id)
    }

    pub fn each(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().filter(|entry| entry.id != 0)
    }

    /// Forgets a stream.
    pub fn close(&mut self, key: Key) {
        let Some(entry) = self.get(key) else { return };
        let mut data = std::mem::take(&mut entry.incoming.data);
        // Whoever serves the next one in this place is often the same.
        let (mut reader, mut writer) =
            (std::mem::take(&mut entry.incoming.reader), std::mem::take(&mut entry.writer));
        (reader.waits, writer.waits) = (false, false);
        *entry = Entry { writer, ..Entry::default() };
        entry.incoming.reader = reader;
        data.clear();
        data.shrink_to(KEPT);
        entry.incoming.data = data;
        self.free.push(key.place);
        if let Ok(at) = self.by_id.binary_search_by_key(&key.id, |(id, _)| *id) {
            self.by_id.remove(at);
        }
    }

    /// What was under way to it when we reset it is no fault of the client's (RFC 9113 section 5.1).
    pub fn remember_reset(&mut self, id: u32) {
        if self.resets.len() < REMEMBERED {
            self.resets.push(id);
        } else if let Some(oldest) = self.resets.get_mut(self.next_reset) {
            *oldest = id;
            self.next_reset = (self.next_reset + 1) % REMEMBERED;
        }
    }

    pub fn was_reset_here(&self, id: u32) -> bool {
        self.resets.contains(&id)
    }

    /// Gives memory back, while there is no stream.
    pub fn rest(&mut self) {
        if self.by_id.is_empty() {
            let resets = std::mem::take(&mut self.resets);
            *self = Table { resets, next_reset: self.next_reset, ..Table::default() };
        }
    }
}

/// A fault of one stream or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Stream(u32, Reason),
    Connection(Reason),
}

//! Counts the frames that cost a proxy more than their sender. The engine reads and answers them and tells
//! nobody, so they are counted where they pass as bytes: only the nine bytes of their heads are looked at
//! (RFC 9113 section 4.1), and the error code of a reset.

use std::time::Duration;

use tokio::time::Instant;

const HEAD: usize = 9;
/// What a client says before its first frame.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A window of resets, and how many may fall into it.
const RESET_WINDOW: Duration = Duration::from_secs(30);
const MOST_RESETS: u32 = 100;
/// A window of frames that ask for work and carry nothing, and how many may fall into it: many times what a
/// client has reason to send.
const NOISE_WINDOW: Duration = Duration::from_secs(1);
const MOST_SETTINGS: u32 = 20;
const MOST_IDLE: u32 = 100;
/// Window updates that each frame of data from us is worth, and how many may be saved up. A PING for each frame
/// of data from either side: some clients measure with them how much they may send.
const UPDATES_EARNED: u32 = 2;
const MOST_EARNED: u32 = 10_000;
/// CONTINUATION frames of one head.
const MOST_CONTINUATIONS: u32 = 32;

/// What frames do that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abuse {
    /// The first frame is not SETTINGS (RFC 9113 section 3.4).
    NoSettings,
    Resets,
    Settings,
    Pings,
    EmptyFrames,
    Priorities,
    WindowUpdates,
    UnknownFrames,
    Continuations,
    /// All streams together are slower than one may be.
    TooSlow,
}

impl Abuse {
    /// The code that metrics and notices show.
    pub fn reason(self) -> &'static str {
        match self {
            Abuse::NoSettings => "h2_no_settings",
            Abuse::Resets => "h2_resets",
            Abuse::Settings => "h2_settings",
            Abuse::Pings => "h2_pings",
            Abuse::EmptyFrames => "h2_empty_frames",
            Abuse::Priorities => "h2_priorities",
            Abuse::WindowUpdates => "h2_window_updates",
            Abuse::UnknownFrames => "h2_unknown_frames",
            Abuse::Continuations => "h2_continuations",
            Abuse::TooSlow => "h2_too_slow",
        }
    }
}

/// The frames of one direction.
#[derive(Debug, Default)]
pub struct Frames {
    /// Bytes of the preface that are still to come.
    skip: u64,
    head: [u8; HEAD + 4],
    have: usize,
    /// How much of `head` is wanted before it is looked at.
    want: usize,
}

/// The head of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub length: u32,
    pub kind: u8,
    pub flags: u8,
    /// Of a reset.
    pub code: u32,
}

pub const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const NO_ERROR: u32 = 0;

impl Frames {
    /// From the first byte of a connection; `preface` bytes come before the first frame.
    pub fn new(preface: usize) -> Frames {
        Frames { skip: preface as u64, head: [0; HEAD + 4], have: 0, want: HEAD }
    }

    /// Goes through bytes as they pass and calls `each` for every frame that begins in them.
    pub fn pass(&mut self, bytes: &[u8], mut each: impl FnMut(Frame)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(rest.len() as u64);
                self.skip -= skipped;
                rest = &rest[skipped as usize..];
                continue;
            }
            let part = rest.len().min(self.want - self.have);
            self.head[self.have..self.have + part].copy_from_slice(&rest[..part]);
            self.have += part;
            rest = &rest[part..];
            if self.have == self.want
                && let Some(frame) = self.frame()
            {
                each(frame);
            }
        }
    }

    /// A frame has begun that is not complete.
    pub fn in_frame(&self) -> bool {
        self.skip > 0 || self.have > 0
    }

    /// The frame whose head is complete; `None` when its error code is wanted too.
    fn frame(&mut self) -> Option<Frame> {
        let [a, b, c, kind, flags, ..] = self.head;
        let length = u32::from_be_bytes([0, a, b, c]);
        if kind == RST_STREAM && length == 4 && self.want == HEAD {
            self.want = HEAD + 4;
            return None;
        }
        let [.., e, f, g, h] = self.head;
        let code = if self.want > HEAD { u32::from_be_bytes([e, f, g, h]) } else { u32::MAX };
        self.skip = u64::from(length) - (self.want - HEAD) as u64;
        (self.have, self.want) = (0, HEAD);
        Some(Frame { length, kind, flags, code })
    }
}

/// How far the head of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    None,
    /// Other frames of it are to come.
    More,
    /// This is its last frame.
    Last,
}

/// What one client's connection has spent of its patience.
#[derive(Debug)]
pub struct Watch {
    /// A frame has come.
    begun: bool,
    resets: Window,
    settings: Window,
    pings: Window,
    empty: Window,
    priorities: Window,
    updates: Window,
    /// Window updates that are owed for what was sent.
    earned: u32,
    /// Resets that are forgiven for requests that were answered whole.
    earned_resets: u32,
    /// PINGs that are owed for what was sent and received.
    earned_pings: u32,
    unknown: Window,
    continuations: u32,
    head: Head,
    /// A head has begun that is not complete, since when.
    pub head_open: Option<Instant>,
    pub abuse: Option<Abuse>,
}

impl Watch {
    pub fn new(now: Instant) -> Watch {
        let noise = Window::new(now, NOISE_WINDOW);
        Watch {
            begun: false,
            resets: Window::new(now, RESET_WINDOW),
            settings: noise,
            pings: noise,
            empty: noise,
            priorities: noise,
            updates: noise,
            earned: 0,
            earned_resets: 0,
            earned_pings: 0,
            unknown: noise,
            continuations: 0,
            head: Head::None,
            head_open: None,
            abuse: None,
        }
    }

    /// A frame came from the client while `streams` were open.
    pub fn received(&mut self, frame: Frame, streams: usize, now: impl Fn() -> Instant) {
        if !std::mem::replace(&mut self.begun, true) && (frame.kind != SETTINGS || frame.flags & ACK != 0) {
            self.abuse = Some(Abuse::NoSettings);
        }
        let ends_head = frame.flags & END_HEADERS != 0;
        // A priority may come with each stream.
        let busy = MOST_IDLE + 64 * streams.min(1000) as u32;
        let over = match frame.kind {
            DATA if frame.length == 0 && frame.flags & END_STREAM == 0 => {
                self.empty.exceeds(MOST_IDLE, &now).then_some(Abuse::EmptyFrames)
            }
            DATA => {
                self.earned_pings = MOST_EARNED.min(self.earned_pings + 1);
                None
            }
            PUSH_PROMISE | GOAWAY => None,
            HEADERS => {
                self.continuations = 0;
                self.head = if ends_head { Head::Last } else { Head::More };
                None
            }
            CONTINUATION => {
                self.continuations += 1;
                if ends_head {
                    self.head = Head::Last;
                }
                (self.continuations > MOST_CONTINUATIONS).then_some(Abuse::Continuations)
            }
            RST_STREAM if self.earned_resets > 0 => {
                self.earned_resets -= 1;
                None
            }
            RST_STREAM => self.resets.exceeds(MOST_RESETS, &now).then_some(Abuse::Resets),
            SETTINGS if frame.flags & ACK == 0 => {
                self.settings.exceeds(MOST_SETTINGS, &now).then_some(Abuse::Settings)
            }
            PING if frame.flags & ACK == 0 && self.earned_pings > 0 => {
                self.earned_pings -= 1;
                None
            }
            PING if frame.flags & ACK == 0 => self.pings.exceeds(MOST_IDLE, &now).then_some(Abuse::Pings),
            SETTINGS | PING => self.unknown.exceeds(MOST_IDLE, &now).then_some(Abuse::UnknownFrames),
            PRIORITY => self.priorities.exceeds(busy, &now).then_some(Abuse::Priorities),
            WINDOW_UPDATE if self.earned > 0 => {
                self.earned -= 1;
                None
            }
            WINDOW_UPDATE => self.updates.exceeds(busy, &now).then_some(Abuse::WindowUpdates),
            _ => self.unknown.exceeds(MOST_IDLE, &now).then_some(Abuse::UnknownFrames),
        };
        self.abuse = self.abuse.or(over);
    }

    /// All that came so far was looked at; `in_frame`: the last frame is not complete.
    pub fn looked(&mut self, in_frame: bool, now: impl Fn() -> Instant) {
        match self.head {
            Head::None => {}
            Head::Last if !in_frame => {
                self.head = Head::None;
                self.head_open = None;
            }
            Head::Last | Head::More => {
                self.head_open.get_or_insert_with(now);
            }
        }
    }

    /// A frame went to the client. A reset that its breach of the protocol made us send counts as one of its
    /// own, or it could have as many streams begun as it likes (CVE-2025-8671).
    pub fn sent(&mut self, frame: Frame, now: impl Fn() -> Instant) {
        if matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 {
            self.earned_resets = MOST_EARNED.min(self.earned_resets + 1);
        }
        if frame.kind == DATA && frame.length > 0 {
            self.earned = MOST_EARNED.min(self.earned + UPDATES_EARNED);
            self.earned_pings = MOST_EARNED.min(self.earned_pings + 1);
        }
        if frame.kind == RST_STREAM
            && !matches!(frame.code, NO_ERROR | INTERNAL_ERROR | CANCEL)
            && self.resets.exceeds(MOST_RESETS, &now)
        {
            self.abuse = self.abuse.or(Some(Abuse::Resets));
        }
    }
}

/// What the proxy itself says of an answer that broke off.
const INTERNAL_ERROR: u32 = 2;
const CANCEL: u32 = 8;

/// How many events fell into a span of time; a new span begins with the first event after it.
#[derive(Debug, Clone, Copy)]
struct Window {
    since: Instant,
    span: Duration,
    count: u32,
}

impl Window {
    fn new(since: Instant, span: Duration) -> Window {
        Window { since, span, count: 0 }
    }

    /// Counts one more; the clock is asked only when the limit is reached.
    fn exceeds(&mut self, limit: u32, now: &impl Fn() -> Instant) -> bool {
        self.count += 1;
        if self.count <= limit {
            return false;
        }
        let now = now();
        if now.saturating_duration_since(self.since) < self.span {
            return true;
        }
        (self.since, self.count) = (now, 1);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let mut all = PREFACE.to_vec();
        all.extend(frame(SETTINGS, 0, &[0; 6]));
        all.extend(frame(HEADERS, END_HEADERS, &[1; 300]));
        all.extend(frame(DATA, 0, b""));
        all.extend(frame(RST_STREAM, 0, &[0, 0, 0, 8]));
        all.extend(frame(RST_STREAM, 0, &[0, 0, 0, 8, 9]));
        all.extend(frame(PING, ACK, &[0; 8]));
        for cut in 1..40 {
            let mut frames = Frames::new(PREFACE.len());
            let mut found = Vec::new();
            for piece in all.chunks(cut) {
                frames.pass(piece, |frame| found.push((frame.kind, frame.length, frame.code)));
            }
            let none = u32::MAX;
            let wanted = [
                (SETTINGS, 6, none),
                (HEADERS, 300, none),
                (DATA, 0, none),
                (RST_STREAM, 4, 8),
                (RST_STREAM, 5, none),
                (PING, 8, none),
            ];
            assert_eq!(found, wanted, "pieces of {cut}");
        }
    }

    fn seen(kind: u8, flags: u8, length: u32) -> Frame {
        Frame { length, kind, flags, code: u32::MAX }
    }

    /// A connection that began as it should.
    fn watch(now: Instant) -> Watch {
        let mut watch = Watch::new(now);
        watch.received(seen(SETTINGS, 0, 0), 0, || now);
        watch.settings = Window::new(now, NOISE_WINDOW);
        watch
    }

    #[test]
    fn the_first_frame_is_settings() {
        let start = Instant::now();
        for (first, fine) in [
            (seen(SETTINGS, 0, 0), true),
            (seen(SETTINGS, ACK, 0), false),
            (seen(PING, 0, 8), false),
            (seen(HEADERS, END_HEADERS, 3), false),
        ] {
            let mut watch = Watch::new(start);
            watch.received(first, 0, || start);
            watch.received(seen(HEADERS, END_HEADERS, 3), 0, || start);
            assert_eq!(watch.abuse.is_none(), fine, "{first:?}");
        }
    }

    /// How many such frames a second, and for how many seconds, are taken.
    fn taken(frame: Frame, per_second: u32) -> bool {
        let start = Instant::now();
        let mut watch = watch(start);
        for second in 0..5 {
            for _ in 0..per_second {
                watch.received(frame, 1, || start + Duration::from_secs(second));
            }
        }
        watch.abuse.is_none()
    }

    #[test]
    fn frames_that_carry_nothing_have_a_rate() {
        for (frame, fine, too_many) in [
            (seen(SETTINGS, 0, 0), 20, 21),
            (seen(PING, 0, 8), 100, 101),
            (seen(DATA, 0, 0), 100, 101),
            (seen(PRIORITY, 0, 5), 164, 165),
            (seen(WINDOW_UPDATE, 0, 4), 164, 165),
            (seen(77, 0, 4), 100, 101),
            (seen(PING, ACK, 8), 100, 101),
        ] {
            assert!(taken(frame, fine), "{frame:?} {fine}");
            assert!(!taken(frame, too_many), "{frame:?} {too_many}");
        }
        assert!(taken(seen(DATA, 0, 10), 100_000));
        assert!(taken(seen(DATA, END_STREAM, 0), 100_000));
        assert!(taken(seen(HEADERS, END_HEADERS, 10), 100_000));
    }

    #[test]
    fn resets_count_whoever_sends_them() {
        let start = Instant::now();
        let now = || start;
        let mut watch = watch(start);
        for _ in 0..50 {
            watch.received(seen(RST_STREAM, 0, 4), 1, now);
            watch.sent(Frame { code: 1, ..seen(RST_STREAM, 0, 4) }, now);
            watch.sent(Frame { code: NO_ERROR, ..seen(RST_STREAM, 0, 4) }, now);
        }
        assert_eq!(watch.abuse, None);
        watch.sent(Frame { code: 5, ..seen(RST_STREAM, 0, 4) }, now);
        assert_eq!(watch.abuse, Some(Abuse::Resets));
    }

    #[test]
    fn window_updates_and_pings_are_earned_by_data() {
        let start = Instant::now();
        let mut watch = watch(start);
        for _ in 0..5000 {
            watch.sent(seen(DATA, 0, 100), || start);
            watch.received(seen(WINDOW_UPDATE, 0, 4), 1, || start);
            watch.received(seen(WINDOW_UPDATE, 0, 4), 1, || start);
            watch.received(seen(PING, 0, 8), 1, || start);
        }
        assert_eq!(watch.abuse, None);
        for _ in 0..200 {
            watch.received(seen(WINDOW_UPDATE, 0, 4), 1, || start);
        }
        assert_eq!(watch.abuse, Some(Abuse::WindowUpdates));
    }

    #[test]
    fn resets_are_forgiven_after_a_while() {
        let start = Instant::now();
        let mut watch = watch(start);
        for round in 0..10 {
            for _ in 0..90 {
                watch.received(seen(RST_STREAM, 0, 4), 1, || start + round * Duration::from_secs(31));
            }
        }
        assert_eq!(watch.abuse, None);
    }

    #[test]
    fn a_head_has_an_end() {
        let start = Instant::now();
        let mut watch = watch(start);
        watch.received(seen(HEADERS, 0, 10), 0, || start);
        watch.looked(false, || start);
        assert_eq!(watch.head_open, Some(start));
        for _ in 0..32 {
            watch.received(seen(CONTINUATION, 0, 0), 0, || start);
        }
        assert_eq!(watch.abuse, None);
        watch.received(seen(CONTINUATION, END_HEADERS, 0), 0, || start);
        watch.looked(true, || start);
        assert_eq!((watch.head_open, watch.abuse), (Some(start), Some(Abuse::Continuations)));
        watch.looked(false, || start);
        assert_eq!(watch.head_open, None);
    }
}

//! Counts the frames that cost a proxy more than their sender: all of them are allowed, and many of them are an attack.

use std::time::Duration;

use ::http2::{FrameHead, Kind, Sent, flags};
use tokio::time::Instant;

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
/// Resets that are forgiven for answers, at most: each may have cost an origin a request.
const MOST_FORGIVEN: u32 = 200;
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

/// What one client's connection has spent of its patience.
#[derive(Debug, Clone)]
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
            head_open: None,
            abuse: None,
        }
    }

    /// A frame came from the client while `streams` were open.
    pub fn received(&mut self, frame: FrameHead, streams: usize, now: impl Fn() -> Instant) {
        let acknowledges = frame.has(flags::ACK);
        if !std::mem::replace(&mut self.begun, true) && (frame.kind != Kind::Settings || acknowledges) {
            self.abuse = Some(Abuse::NoSettings);
        }
        // A priority may come with each stream.
        let busy = MOST_IDLE + 64 * streams.min(1000) as u32;
        let over = match frame.kind {
            Kind::Data if frame.length == 0 && !frame.has(flags::END_STREAM) => {
                self.empty.exceeds(MOST_IDLE, &now).then_some(Abuse::EmptyFrames)
            }
            Kind::Data => {
                self.earned_pings = MOST_EARNED.min(self.earned_pings + 1);
                None
            }
            Kind::PushPromise | Kind::GoAway => None,
            Kind::Headers => {
                self.continuations = 0;
                None
            }
            Kind::Continuation => {
                self.continuations += 1;
                (self.continuations > MOST_CONTINUATIONS).then_some(Abuse::Continuations)
            }
            Kind::RstStream if self.earned_resets > 0 => {
                self.earned_resets -= 1;
                None
            }
            Kind::RstStream => self.resets.exceeds(MOST_RESETS, &now).then_some(Abuse::Resets),
            Kind::Settings if !acknowledges => {
                self.settings.exceeds(MOST_SETTINGS, &now).then_some(Abuse::Settings)
            }
            Kind::Ping if !acknowledges && self.earned_pings > 0 => {
                self.earned_pings -= 1;
                None
            }
            Kind::Ping if !acknowledges => self.pings.exceeds(MOST_IDLE, &now).then_some(Abuse::Pings),
            Kind::Priority => self.priorities.exceeds(busy, &now).then_some(Abuse::Priorities),
            Kind::WindowUpdate if self.earned > 0 => {
                self.earned -= 1;
                None
            }
            Kind::WindowUpdate => self.updates.exceeds(busy, &now).then_some(Abuse::WindowUpdates),
            Kind::Settings | Kind::Ping | Kind::Unknown => {
                self.unknown.exceeds(MOST_IDLE, &now).then_some(Abuse::UnknownFrames)
            }
        };
        self.abuse = self.abuse.or(over);
        if matches!(frame.kind, Kind::Headers | Kind::Continuation) && frame.has(flags::END_HEADERS) {
            // The next one has its own time.
            self.head_open = None;
        }
    }

    /// All that came so far was looked at; `in_head`: a head is not complete.
    pub fn looked(&mut self, in_head: bool, now: impl Fn() -> Instant) {
        if !in_head {
            self.head_open = None;
        } else if self.head_open.is_none() {
            self.head_open = Some(now());
        }
    }

    /// What went to the client since this was told last. A reset that its breach of the protocol made us send counts
    /// as one of its own, or it could have as many streams begun as it likes (CVE-2025-8671).
    pub fn sent(&mut self, sent: Sent, now: impl Fn() -> Instant) {
        self.earned_resets = MOST_FORGIVEN.min(self.earned_resets + sent.ended);
        self.earned = MOST_EARNED.min(self.earned + UPDATES_EARNED * sent.data);
        self.earned_pings = MOST_EARNED.min(self.earned_pings + sent.data);
        for _ in 0..sent.refused {
            if self.resets.exceeds(MOST_RESETS, &now) {
                self.abuse = self.abuse.or(Some(Abuse::Resets));
            }
        }
    }
}

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

    fn seen(kind: Kind, flags: u8, length: usize) -> FrameHead {
        FrameHead { length, kind, flags, stream: 1 }
    }

    /// A connection that began as it should.
    fn watch(now: Instant) -> Watch {
        let mut watch = Watch::new(now);
        watch.received(seen(Kind::Settings, 0, 0), 0, || now);
        watch.settings = Window::new(now, NOISE_WINDOW);
        watch
    }

    #[test]
    fn the_first_frame_is_settings() {
        let start = Instant::now();
        for (first, fine) in [
            (seen(Kind::Settings, 0, 0), true),
            (seen(Kind::Settings, flags::ACK, 0), false),
            (seen(Kind::Ping, 0, 8), false),
            (seen(Kind::Headers, flags::END_HEADERS, 3), false),
        ] {
            let mut watch = Watch::new(start);
            watch.received(first, 0, || start);
            watch.received(seen(Kind::Headers, flags::END_HEADERS, 3), 0, || start);
            assert_eq!(watch.abuse.is_none(), fine, "{first:?}");
        }
    }

    /// How many such frames a second, and for how many seconds, are taken.
    fn taken(frame: FrameHead, per_second: u32) -> bool {
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
            (seen(Kind::Settings, 0, 0), 20, 21),
            (seen(Kind::Ping, 0, 8), 100, 101),
            (seen(Kind::Data, 0, 0), 100, 101),
            (seen(Kind::Priority, 0, 5), 164, 165),
            (seen(Kind::WindowUpdate, 0, 4), 164, 165),
            (seen(Kind::Unknown, 0, 4), 100, 101),
            (seen(Kind::Ping, flags::ACK, 8), 100, 101),
        ] {
            assert!(taken(frame, fine), "{frame:?} {fine}");
            assert!(!taken(frame, too_many), "{frame:?} {too_many}");
        }
        assert!(taken(seen(Kind::Data, 0, 10), 100_000));
        assert!(taken(seen(Kind::Data, flags::END_STREAM, 0), 100_000));
        assert!(taken(seen(Kind::Headers, flags::END_HEADERS, 10), 100_000));
    }

    #[test]
    fn resets_count_whoever_sends_them() {
        let start = Instant::now();
        let now = || start;
        let mut watch = watch(start);
        for _ in 0..50 {
            watch.received(seen(Kind::RstStream, 0, 4), 1, now);
            watch.sent(Sent { refused: 1, ..Sent::default() }, now);
        }
        assert_eq!(watch.abuse, None);
        watch.sent(Sent { refused: 1, ..Sent::default() }, now);
        assert_eq!(watch.abuse, Some(Abuse::Resets));
    }

    #[test]
    fn window_updates_and_pings_are_earned_by_data() {
        let start = Instant::now();
        let mut watch = watch(start);
        for _ in 0..5000 {
            watch.sent(Sent { data: 1, ..Sent::default() }, || start);
            watch.received(seen(Kind::WindowUpdate, 0, 4), 1, || start);
            watch.received(seen(Kind::WindowUpdate, 0, 4), 1, || start);
            watch.received(seen(Kind::Ping, 0, 8), 1, || start);
        }
        assert_eq!(watch.abuse, None);
        for _ in 0..200 {
            watch.received(seen(Kind::WindowUpdate, 0, 4), 1, || start);
        }
        assert_eq!(watch.abuse, Some(Abuse::WindowUpdates));
    }

    #[test]
    fn resets_are_forgiven_after_a_while() {
        let start = Instant::now();
        let mut watch = watch(start);
        for round in 0..10 {
            for _ in 0..90 {
                watch.received(seen(Kind::RstStream, 0, 4), 1, || start + round * Duration::from_secs(31));
            }
        }
        assert_eq!(watch.abuse, None);
    }

    #[test]
    fn a_head_has_an_end() {
        let start = Instant::now();
        let later = || start + Duration::from_secs(1);
        let mut watch = watch(start);
        watch.received(seen(Kind::Headers, 0, 10), 0, || start);
        watch.looked(true, || start);
        for _ in 0..32 {
            watch.received(seen(Kind::Continuation, 0, 0), 0, later);
            watch.looked(true, later);
        }
        assert_eq!((watch.head_open, watch.abuse), (Some(start), None));
        let mut next = watch.clone();
        next.received(seen(Kind::Continuation, flags::END_HEADERS, 0), 0, later);
        next.received(seen(Kind::Headers, 0, 0), 0, later);
        next.looked(true, later);
        assert_eq!(next.head_open, Some(later()), "each head has its own time");
        watch.received(seen(Kind::Continuation, flags::END_HEADERS, 0), 0, later);
        watch.looked(false, later);
        assert_eq!((watch.head_open, watch.abuse), (None, Some(Abuse::Continuations)));
    }
}

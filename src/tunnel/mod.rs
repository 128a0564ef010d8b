//! Two byte streams joined, after an upgrade: what comes on one side goes out on the other, until both
//! have ended, one of them broke, or neither said anything for too long.

mod end;

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

pub use end::End;

use self::end::{Sink, Source};
use crate::message::{Far, Upgraded};
use crate::wire::Watchdog;

/// One side's bytes on their way to the other.
struct Direction<'s> {
    from: Source<'s>,
    to: Sink<'s>,
    state: State,
    moved: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The source ended; what is left of it is still to be written, then the end.
    Ending,
    Ended,
    Broken,
}

/// Bytes that a tunnel moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    pub from_client: u64,
    pub to_client: u64,
}

/// Joins the two.
async fn join(client: End<'_>, origin: End<'_>, idle_timeout: Duration, watchdog: &Watchdog) -> Moved {
    let mut there = Direction::new(client.source, origin.sink);
    let mut back = Direction::new(origin.source, client.sink);
    let mut deadline = Instant::now() + idle_timeout;
    let whole = poll_fn(|cx| {
        let before = there.moved + back.moved;
        there.advance(cx);
        back.advance(cx);
        let broken = there.state == State::Broken || back.state == State::Broken;
        if broken || (there.state == State::Ended && back.state == State::Ended) {
            return Poll::Ready(!broken);
        }
        if there.moved + back.moved != before {
            deadline = Instant::now() + idle_timeout;
        }
        if watchdog.expired(cx, deadline) { Poll::Ready(false) } else { Poll::Pending }
    })
    .await;
    if !whole {
        there.to.cut();
        back.to.cut();
    }
    Moved { from_client: there.moved, to_client: back.moved }
}

/// Joins a client to an origin that has switched protocols.
pub async fn join_upgraded(
    client: End<'_>,
    upgraded: Upgraded,
    idle_timeout: Duration,
    watchdog: &Watchdog,
) -> Moved {
    let Upgraded { far, held } = upgraded;
    let moved = match far {
        Far::Socket(socket, received) => {
            join(client, End::socket(&socket, received), idle_timeout, watchdog).await
        }
        Far::Stream(receive, send) => join(client, End::stream(receive, send), idle_timeout, watchdog).await,
    };
    // Its place is free only now.
    drop(held);
    moved
}

impl<'s> Direction<'s> {
    fn new(from: Source<'s>, to: Sink<'s>) -> Direction<'s> {
        Direction { from, to, state: State::Open, moved: 0 }
    }

    /// Moves bytes until one side has nothing more to give or the other takes no more.
    fn advance(&mut self, cx: &mut Context<'_>) {
        loop {
            while !self.from.data().is_empty() {
                match self.to.poll_write(cx, self.from.data()) {
                    Poll::Pending => return,
                    Poll::Ready(Ok(count)) if count > 0 => {
                        self.from.consume(count);
                        self.moved += count as u64;
                    }
                    Poll::Ready(_) => {
                        self.state = State::Broken;
                        return;
                    }
                }
            }
            match self.state {
                State::Ended | State::Broken => return,
                State::Ending => {
                    match self.to.poll_flush(cx) {
                        Poll::Pending => return,
                        Poll::Ready(flushed) => {
                            let ended = flushed.is_ok() && self.to.finish();
                            self.state = if ended { State::Ended } else { State::Broken };
                        }
                    }
                    return;
                }
                State::Open => match self.from.poll_more(cx) {
                    Poll::Pending => {
                        if let Poll::Ready(Err(_)) = self.to.poll_flush(cx) {
                            self.state = State::Broken;
                        }
                        return;
                    }
                    Poll::Ready(Ok(true)) => {}
                    Poll::Ready(Ok(false)) => self.state = State::Ending,
                    Poll::Ready(Err(_)) => self.state = State::Broken,
                },
            }
        }
    }
}

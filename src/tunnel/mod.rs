//! Two byte streams joined, after an upgrade: what comes on one side goes out on the other, until both
//! have ended, one of them broke, or neither said anything for too long.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::{Buffer, Socket, Watchdog};

/// One side's bytes on their way to the other.
struct Direction<'s> {
    from: &'s Socket,
    to: &'s Socket,
    buffer: Buffer,
    state: State,
    moved: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The source ended; what is in the buffer is still to be written, then FIN.
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

/// Joins the two; `from_client` and `from_origin` hold bytes that were received already.
pub async fn join(
    client: &Socket,
    from_client: Buffer,
    origin: &Socket,
    from_origin: Buffer,
    idle_timeout: Duration,
    watchdog: &Watchdog,
) -> Moved {
    let mut there = Direction::new(client, origin, from_client);
    let mut back = Direction::new(origin, client, from_origin);
    let mut deadline = Instant::now() + idle_timeout;
    poll_fn(|cx| {
        let before = there.moved + back.moved;
        there.advance(cx);
        back.advance(cx);
        let broken = there.state == State::Broken || back.state == State::Broken;
        if broken || (there.state == State::Ended && back.state == State::Ended) {
            return Poll::Ready(());
        }
        if there.moved + back.moved != before {
            deadline = Instant::now() + idle_timeout;
        }
        if watchdog.expired(cx, deadline) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    Moved { from_client: there.moved, to_client: back.moved }
}

impl<'s> Direction<'s> {
    fn new(from: &'s Socket, to: &'s Socket, buffer: Buffer) -> Direction<'s> {
        Direction { from, to, buffer, state: State::Open, moved: 0 }
    }

    /// Moves bytes until a socket has nothing more to give or to take.
    fn advance(&mut self, cx: &mut Context<'_>) {
        loop {
            while !self.buffer.is_empty() {
                match self.to.poll_write(cx, self.buffer.data()) {
                    Poll::Pending => return,
                    Poll::Ready(Ok(count)) if count > 0 => {
                        self.buffer.consume(count);
                        self.moved += count as u64;
                    }
                    Poll::Ready(_) => self.state = State::Broken,
                }
                if self.state == State::Broken {
                    return;
                }
            }
            match self.state {
                State::Ended | State::Broken => return,
                State::Ending => {
                    match self.to.poll_flush(cx) {
                        Poll::Pending => return,
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => {
                            self.state = State::Broken;
                            return;
                        }
                    }
                    self.state = if self.to.shutdown().is_ok() { State::Ended } else { State::Broken };
                    return;
                }
                State::Open => match self.from.poll_fill(cx, &mut self.buffer) {
                    Poll::Pending => {
                        if let Poll::Ready(Err(_)) = self.to.poll_flush(cx) {
                            self.state = State::Broken;
                        }
                        return;
                    }
                    Poll::Ready(Ok(0)) => self.state = State::Ending,
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => self.state = State::Broken,
                },
            }
        }
    }
}

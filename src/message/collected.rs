//! Bodies that are held whole: read to their end before anything else happens, or made of what was read. Each has a
//! limit of its own, and all that a worker holds in this way have one together.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Context, Poll};

use http1::{BodyLength, Fields};

use super::{Body, BodyStream, Failure};

/// What the bodies of a worker may take together, in bytes.
const MOST: usize = 64 << 20;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// The bytes of a body, or of its beginning.
#[derive(Debug)]
pub struct Collected {
    bytes: Vec<u8>,
    taken: usize,
}

/// How far the reading came.
#[derive(Debug)]
pub enum Reading {
    Whole(Collected),
    /// It is longer than the limit, or there is no room for more: what was read, and what is left is in the stream.
    Part(Collected, Stop),
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    TooLarge,
    NoRoom,
}

impl Collected {
    /// Reads a body of up to `max` bytes.
    pub async fn read(stream: &mut (dyn BodyStream + '_), max: usize) -> Result<Reading, Failure> {
        let mut collected = Collected { bytes: Vec::new(), taken: 0 };
        loop {
            let step = poll_fn(|cx| {
                stream.poll_data(cx).map_ok(|data| {
                    let count = data.len();
                    collected.add(data, max).map(|()| count)
                })
            });
            match step.await? {
                Ok(0) => return Ok(Reading::Whole(collected)),
                Ok(count) => stream.consume(count),
                Err(stop) => return Ok(Reading::Part(collected, stop)),
            }
        }
    }

    fn add(&mut self, data: &[u8], max: usize) -> Result<(), Stop> {
        let length = self.bytes.len().saturating_add(data.len());
        if length > max {
            return Err(Stop::TooLarge);
        }
        if length > self.bytes.capacity() {
            let wanted = length.max(self.bytes.capacity() * 2).min(max);
            self.take(wanted - self.taken).ok_or(Stop::NoRoom)?;
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    fn take(&mut self, more: usize) -> Option<()> {
        let held = HELD.get().checked_add(more).filter(|held| *held <= MOST)?;
        HELD.set(held);
        self.taken += more;
        Some(())
    }

    /// What was made of a body; a failure when there is no room for it.
    pub fn made(bytes: Vec<u8>) -> Result<Collected, Failure> {
        let mut collected = Collected { bytes, taken: 0 };
        collected.take(collected.bytes.capacity()).ok_or(Failure::OutOfSpace)?;
        Ok(collected)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// It as a body, which takes its room until it is sent.
    pub fn into_body(self) -> Body<'static> {
        Body::Stream(Box::new(Sent { collected: self, at: 0 }))
    }
}

struct Sent {
    collected: Collected,
    at: usize,
}

impl BodyStream for Sent {
    fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        Poll::Ready(Ok(self.collected.bytes.get(self.at..).unwrap_or_default()))
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }

    fn length(&self) -> BodyLength {
        BodyLength::Exact(self.collected.bytes.len() as u64)
    }

    fn trailers(&mut self) -> Option<Fields> {
        None
    }
}

impl Drop for Collected {
    fn drop(&mut self) {
        // On a thread that is ending there is nothing left to count.
        let _ = HELD.try_with(|held| held.set(held.get().saturating_sub(self.taken)));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Zeros, a thousand at a time.
    struct Zeros(usize);

    impl BodyStream for Zeros {
        fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
            Poll::Ready(Ok(&[0; 1000][..self.0.min(1000)]))
        }

        fn consume(&mut self, count: usize) {
            self.0 -= count;
        }

        fn length(&self) -> BodyLength {
            BodyLength::Chunked
        }

        fn trailers(&mut self) -> Option<Fields> {
            None
        }
    }

    fn read(length: usize, max: usize) -> (Reading, usize) {
        let mut stream = Zeros(length);
        let reading = {
            let mut reading = std::pin::pin!(Collected::read(&mut stream, max));
            match reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(reading) => reading.unwrap(),
                Poll::Pending => panic!("nothing is waited for"),
            }
        };
        (reading, stream.0)
    }

    #[test]
    fn a_body_is_read_up_to_its_limit() {
        for (length, max, whole) in [(0, 0, true), (2500, 2500, true), (2500, 2499, false), (1, 0, false)] {
            match read(length, max) {
                (Reading::Whole(collected), 0) if whole => assert_eq!(collected.bytes().len(), length),
                (Reading::Part(collected, Stop::TooLarge), left) if !whole => {
                    assert_eq!(collected.bytes().len() + left, length, "nothing is lost");
                }
                other => panic!("{length} {max} {other:?}"),
            }
        }
        assert_eq!(HELD.get(), 0, "all is given back");
    }

    #[test]
    fn the_bodies_of_a_worker_have_a_limit_together() {
        let first = read(MOST, MOST);
        assert!(matches!(first.0, Reading::Whole(_)));
        assert!(matches!(read(1, 1).0, Reading::Part(_, Stop::NoRoom)));
        assert_eq!(Collected::made(vec![0]).unwrap_err(), Failure::OutOfSpace);
        drop(first);
        assert!(matches!(read(1, 1).0, Reading::Whole(_)));
        let body = Collected::made(vec![0; 1000]).unwrap().into_body();
        assert_eq!((body.length(), HELD.get()), (BodyLength::Exact(1000), 1000));
        drop(body);
        assert_eq!(HELD.get(), 0, "until it is sent");
    }
}

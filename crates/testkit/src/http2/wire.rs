//! Frames over a stream, read until a moment.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use super::frame::Frame;
use crate::origin::OriginConnection;
use crate::stream::Stream;

/// What a client sends first (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose reads can be limited in time.
pub(super) trait Transport: Read + Write {
    fn limit_reads(&self, time: Duration) -> io::Result<()>;
}

impl Transport for Stream {
    fn limit_reads(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))
    }
}

impl Transport for OriginConnection {
    fn limit_reads(&self, time: Duration) -> io::Result<()> {
        self.stream().set_read_timeout(Some(time))
    }
}

#[derive(Debug)]
pub(super) struct Wire<S> {
    pub stream: S,
    buffer: Vec<u8>,
}

impl<S: Transport> Wire<S> {
    pub fn new(stream: S) -> Wire<S> {
        Wire { stream, buffer: Vec::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// The next frame; `None` at the end of the stream. A time-out loses nothing: a later call goes on.
    pub fn frame(&mut self, end: Instant) -> io::Result<Option<Frame>> {
        loop {
            if let Some((frame, length)) = Frame::parse(&self.buffer) {
                self.buffer.drain(..length);
                return Ok(Some(frame));
            }
            if !self.fill(end)? {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed inside a frame")),
                };
            }
        }
    }

    /// The next `count` bytes, whatever they are.
    pub fn bytes(&mut self, count: usize, end: Instant) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.fill(end)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..count).collect())
    }

    fn fill(&mut self, end: Instant) -> io::Result<bool> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // Rounded down to 0 microseconds it would mean "for ever".
        self.stream.limit_reads(left.max(Duration::from_millis(1)))?;
        let mut piece = [0; 64 * 1024];
        let count = loop {
            match self.stream.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => break result?,
            }
        };
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(count > 0)
    }
}

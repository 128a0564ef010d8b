//! Several ranges of a file in one answer: `multipart/byteranges` (RFC 9110 section 14.6).

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use http1::{BodyLength, Fields};

use super::ranges::Range;
use crate::message::{BodyStream, Failure, FileBody, StoredFile};

/// The parts one after the other, each behind a head of its own.
#[derive(Debug)]
pub struct Multipart {
    file: Arc<StoredFile>,
    /// Heads and ranges that are still to come; the last head has none, and ends it all.
    parts: VecDeque<(Vec<u8>, Option<Range>)>,
    /// Of the head at hand, what is left.
    head: Vec<u8>,
    head_sent: usize,
    body: Option<FileBody>,
    left: u64,
}

impl Multipart {
    /// `size` is the whole file's. The boundary is one that the file cannot be expected to hold.
    pub fn new(
        file: Arc<StoredFile>,
        ranges: &[Range],
        size: u64,
        media_type: &str,
        boundary: &str,
    ) -> Multipart {
        let mut parts = VecDeque::new();
        let mut left = 0;
        for (place, range) in ranges.iter().enumerate() {
            let line = if place == 0 { "" } else { "\r\n" };
            let Range { first, last } = range;
            let head = format!(
                "{line}--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: bytes {first}-{last}/{size}\r\n\r\n"
            );
            left += head.len() as u64 + range.count();
            parts.push_back((head.into_bytes(), Some(*range)));
        }
        let end = format!("\r\n--{boundary}--\r\n").into_bytes();
        left += end.len() as u64;
        parts.push_back((end, None));
        Multipart { file, parts, head: Vec::new(), head_sent: 0, body: None, left }
    }

    fn begin_next(&mut self) {
        let Some((head, range)) = self.parts.pop_front() else { return };
        (self.head, self.head_sent) = (head, 0);
        self.body = range.map(|range| FileBody::new(self.file.clone(), range.first, range.count()));
    }

    fn is_at_head(&self) -> bool {
        self.head_sent < self.head.len()
    }
}

impl BodyStream for Multipart {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        if !self.is_at_head() && self.body.as_ref().is_none_or(|body| body.left() == 0) {
            self.begin_next();
        }
        if self.is_at_head() {
            return Poll::Ready(Ok(&self.head[self.head_sent..]));
        }
        match &mut self.body {
            Some(body) => body.poll_data(cx),
            None => Poll::Ready(Ok(b"")),
        }
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count as u64);
        if self.is_at_head() {
            self.head_sent += count;
        } else if let Some(body) = &mut self.body {
            body.consume(count);
        }
    }

    fn length(&self) -> BodyLength {
        BodyLength::Exact(self.left)
    }

    fn trailers(&mut self) -> Option<Fields> {
        None
    }
}

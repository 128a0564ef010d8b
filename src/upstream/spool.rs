//! Whole request bodies, read before an upstream connection is taken: a slow upload then costs no
//! connection to the origin. Small ones stay in memory, larger ones go to an unlinked temporary file;
//! both under a quota for the whole process.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};
use std::task::{Context, Poll};

use http1::{BodyLength, Fields};

use crate::message::{BodyStream, Failure};
use crate::wire::Scratch;

/// A body up to this size stays in memory.
const IN_MEMORY: usize = 64 << 10;
/// The piece in which a file is read back.
const PIECE: usize = 64 << 10;

/// What buffered bodies may use, over all requests.
#[derive(Debug)]
pub struct SpoolSpace {
    memory: Quota,
    disk: Quota,
    folder: RwLock<PathBuf>,
}

impl SpoolSpace {
    pub fn new(memory: u64, disk: u64, folder: PathBuf) -> SpoolSpace {
        SpoolSpace { memory: Quota::new(memory), disk: Quota::new(disk), folder: RwLock::new(folder) }
    }

    /// Takes over other settings; bodies that are there already stay where they are.
    pub fn adopt(&self, memory: u64, disk: u64, folder: PathBuf) {
        self.memory.max.store(memory, Relaxed);
        self.disk.max.store(disk, Relaxed);
        *self.folder.write().expect("no panic while held") = folder;
    }

    fn new_file(&self) -> io::Result<File> {
        let folder = self.folder.read().expect("no panic while held").clone();
        tempfile::tempfile_in(folder)
    }

    /// Bytes in memory and on disk right now.
    pub fn used(&self) -> (u64, u64) {
        (self.memory.used.load(Relaxed), self.disk.used.load(Relaxed))
    }
}

#[derive(Debug)]
struct Quota {
    used: AtomicU64,
    max: AtomicU64,
}

impl Quota {
    fn new(max: u64) -> Quota {
        Quota { used: AtomicU64::new(0), max: AtomicU64::new(max) }
    }

    fn take(&self, bytes: u64) -> bool {
        let max = self.max.load(Relaxed);
        self.used
            .fetch_update(Relaxed, Relaxed, |used| used.checked_add(bytes).filter(|sum| *sum <= max))
            .is_ok()
    }
}

/// A whole body on its way to an origin. It can be sent any number of times, see [`Spool::again`].
#[derive(Debug)]
pub struct Spool {
    stored: Rc<Stored>,
    out: Position,
}

#[derive(Debug)]
struct Stored {
    memory: Scratch,
    file: Option<File>,
    /// Bytes in the file.
    in_file: u64,
    space: Arc<SpoolSpace>,
    /// What is taken from the quotas, to be given back.
    taken_memory: u64,
    taken_disk: u64,
}

/// How much was sent, and what was read from the file for it.
#[derive(Debug)]
struct Position {
    at: u64,
    piece: Scratch,
    piece_at: usize,
}

impl Position {
    fn start() -> Position {
        Position { at: 0, piece: Scratch::take(), piece_at: 0 }
    }
}

impl Spool {
    /// Reads all of `body`; more than `max` bytes is a failure. When the memory quota is used up the disk
    /// is used at once; when that is full too the request fails and others go on.
    pub async fn fill(
        body: &mut (dyn BodyStream + '_),
        max: u64,
        space: &Arc<SpoolSpace>,
    ) -> Result<Spool, Failure> {
        let mut stored = Stored {
            memory: Scratch::take(),
            file: None,
            in_file: 0,
            space: space.clone(),
            taken_memory: 0,
            taken_disk: 0,
        };
        loop {
            let count = poll_fn(|cx| match body.poll_data(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
                Poll::Ready(Ok(data)) if stored.len() + data.len() as u64 > max => {
                    Poll::Ready(Err(Failure::BodyTooLarge))
                }
                Poll::Ready(Ok(data)) => Poll::Ready(stored.add(data).map(|()| data.len())),
            })
            .await?;
            if count == 0 {
                return Ok(Spool { stored: Rc::new(stored), out: Position::start() });
            }
            body.consume(count);
        }
    }

    /// The length of the body.
    pub fn bytes(&self) -> u64 {
        self.stored.len()
    }

    /// The same body from its beginning, to send it once more.
    pub fn again(&self) -> Spool {
        Spool { stored: self.stored.clone(), out: Position::start() }
    }
}

impl Stored {
    fn len(&self) -> u64 {
        self.memory.len() as u64 + self.in_file
    }

    fn add(&mut self, data: &[u8]) -> Result<(), Failure> {
        let bytes = data.len() as u64;
        let fits = self.file.is_none() && self.memory.len() + data.len() <= IN_MEMORY;
        if fits && self.space.memory.take(bytes) {
            self.taken_memory += bytes;
            self.memory.extend_from_slice(data);
            return Ok(());
        }
        if !self.space.disk.take(bytes) {
            return Err(Failure::OutOfSpace);
        }
        self.taken_disk += bytes;
        // The writes go to the page cache; a disk that is full says so here.
        self.write_to_file(data).map_err(|_| Failure::OutOfSpace)
    }

    fn write_to_file(&mut self, data: &[u8]) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(self.space.new_file()?),
        };
        file.write_all_at(data, self.in_file)?;
        self.in_file += data.len() as u64;
        Ok(())
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.space.memory.used.fetch_sub(self.taken_memory, Relaxed);
        self.space.disk.used.fetch_sub(self.taken_disk, Relaxed);
    }
}

impl BodyStream for Spool {
    fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        let Spool { stored, out } = self;
        let in_memory = stored.memory.len() as u64;
        if out.at < in_memory {
            return Poll::Ready(Ok(&stored.memory[out.at as usize..]));
        }
        if out.piece_at == out.piece.len()
            && let Some(file) = &stored.file
        {
            let sent = out.at - in_memory;
            let left = stored.in_file.saturating_sub(sent);
            out.piece.resize(left.min(PIECE as u64) as usize, 0);
            out.piece_at = 0;
            if file.read_exact_at(&mut out.piece, sent).is_err() {
                out.piece.clear();
                return Poll::Ready(Err(Failure::OutOfSpace));
            }
        }
        Poll::Ready(Ok(&out.piece[out.piece_at..]))
    }

    fn consume(&mut self, count: usize) {
        let out = &mut self.out;
        if out.at >= self.stored.memory.len() as u64 {
            out.piece_at = (out.piece_at + count).min(out.piece.len());
        }
        out.at += count as u64;
    }

    fn length(&self) -> BodyLength {
        BodyLength::Exact(self.stored.len())
    }

    fn trailers(&mut self) -> Option<Fields> {
        None
    }
}

/// A streamed body that may not be longer than a limit, and whose trailers pass only if its sender speaks
/// of trailers itself (`TE: trailers`).
pub struct Limited<'c> {
    stream: Box<dyn BodyStream + 'c>,
    left: u64,
    trailers: bool,
}

impl<'c> Limited<'c> {
    pub fn new(stream: Box<dyn BodyStream + 'c>, max: u64, trailers: bool) -> Limited<'c> {
        Limited { stream, left: max, trailers }
    }
}

impl BodyStream for Limited<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        match self.stream.poll_data(cx) {
            Poll::Ready(Ok(data)) if data.len() as u64 > self.left => Poll::Ready(Err(Failure::BodyTooLarge)),
            polled => polled,
        }
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count as u64);
        self.stream.consume(count);
    }

    fn length(&self) -> BodyLength {
        self.stream.length()
    }

    fn trailers(&mut self) -> Option<Fields> {
        self.stream.trailers().filter(|_| self.trailers)
    }
}

//! A file as a body. On a plain connection the system sends it (`sendfile`); everywhere else it is read piece by
//! piece. Neither waits for a disk: what is not in memory is fetched by another thread first.
//!
//! A file that gets shorter on its way ends in a failure, which breaks the answer off; of one that grows, only what
//! was told is sent.

use std::future::Future;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use http1::{BodyLength, Fields};
use rustix::io::Errno;
use tokio::task::JoinHandle;

use super::{BodyStream, Failure};
use crate::wire::Buffer;
use crate::wire::file::{self, Read};

/// Sent by one call at most: some 100 microseconds of a worker's time.
const PIECE: u64 = 512 << 10;
/// Sent in a row before other connections of the worker get their turn.
const TURN: u64 = 1 << 20;
/// From here on it is read into a large buffer.
const LARGE_FROM: u64 = 16 << 10;

/// A regular file, open or small enough to be kept in memory.
#[derive(Debug)]
pub struct StoredFile {
    content: Content,
    /// Up to here all was found in memory when it was sent last.
    warm: AtomicU64,
}

#[derive(Debug)]
enum Content {
    Memory(Box<[u8]>),
    Disk(Arc<OwnedFd>),
}

impl StoredFile {
    pub fn in_memory(bytes: Box<[u8]>) -> StoredFile {
        StoredFile { content: Content::Memory(bytes), warm: AtomicU64::new(0) }
    }

    pub fn on_disk(file: OwnedFd) -> StoredFile {
        StoredFile { content: Content::Disk(Arc::new(file)), warm: AtomicU64::new(0) }
    }

    /// `None` when it is in memory.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.content {
            Content::Memory(_) => None,
            Content::Disk(file) => Some(file.as_fd()),
        }
    }

    /// All of it, when it is in memory.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Memory(bytes) => Some(bytes),
            Content::Disk(_) => None,
        }
    }

    /// What was in memory a while ago may be so no more.
    pub fn forget_warmth(&self) {
        self.warm.store(0, Relaxed);
    }

    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        match &self.content {
            Content::Memory(bytes) => bytes.len(),
            Content::Disk(_) => 0,
        }
    }
}

/// A part of a file on its way.
#[derive(Debug)]
pub struct FileBody {
    file: Arc<StoredFile>,
    /// Of the next byte.
    offset: u64,
    left: u64,
    /// Read and not consumed.
    buffer: Buffer,
    /// A thread brings the next bytes into memory.
    fetching: Option<JoinHandle<rustix::io::Result<()>>>,
    /// The next bytes were fetched: they are read however long it takes.
    fetched: bool,
    /// Bytes until others get their turn.
    turn: u64,
    /// The file system cannot send it.
    must_copy: bool,
}

/// What the system may send at once.
pub struct Piece<'f> {
    pub file: BorrowedFd<'f>,
    pub offset: u64,
    /// Bytes.
    pub len: usize,
}

impl FileBody {
    /// All of what is in memory.
    pub fn whole(file: Arc<StoredFile>) -> FileBody {
        let len = file.memory() as u64;
        FileBody::new(file, 0, len)
    }

    /// `len` bytes from `offset` on.
    pub fn new(file: Arc<StoredFile>, offset: u64, len: u64) -> FileBody {
        FileBody {
            file,
            offset,
            left: len,
            buffer: Buffer::new(),
            fetching: None,
            fetched: false,
            turn: TURN,
            must_copy: false,
        }
    }

    pub fn left(&self) -> u64 {
        self.left
    }

    /// All of it, when it is in memory.
    pub fn bytes(&self) -> Option<&[u8]> {
        let bytes = self.file.bytes()?;
        let start = usize::try_from(self.offset).ok()?;
        let end = usize::try_from(self.offset + self.left).ok()?;
        bytes.get(start..end)
    }

    /// The system may send it from its descriptor.
    pub fn can_be_sent(&self) -> bool {
        !self.must_copy && matches!(self.file.content, Content::Disk(_))
    }

    /// It cannot after all.
    pub fn must_be_copied(&mut self) {
        self.must_copy = true;
    }

    /// What is to be sent next, in memory when the system could tell; for a file that [`FileBody::can_be_sent`].
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece<'_>, Failure>> {
        ready!(self.poll_turn(cx));
        let len = self.left.min(PIECE).min(self.turn);
        ready!(self.poll_warm(len, cx))?;
        match self.file.descriptor() {
            Some(file) => Poll::Ready(Ok(Piece { file, offset: self.offset, len: len as usize })),
            None => Poll::Ready(Err(Failure::FileShrank)),
        }
    }

    /// So many bytes of the piece were sent.
    pub fn sent(&mut self, count: usize) {
        let count = (count as u64).min(self.left);
        self.offset += count;
        self.left -= count;
        self.turn = self.turn.saturating_sub(count);
    }

    /// Pending, once, when others are to be served now.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.turn > 0 {
            return Poll::Ready(());
        }
        self.turn = TURN;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ready when the next `len` bytes are in memory, as far as that can be told by the last of them: they are
    /// read ahead and forgotten in order.
    fn poll_warm(&mut self, len: u64, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let end = self.offset + len;
        if end <= self.file.warm.load(Relaxed) {
            return Poll::Ready(Ok(()));
        }
        let Some(file) = self.file.descriptor() else { return Poll::Ready(Ok(())) };
        if self.fetching.is_some() || !file::is_warm(file, end.saturating_sub(1)).map_err(failure_of)? {
            ready!(self.poll_fetch(len, cx))?;
        }
        if self.offset <= self.file.warm.load(Relaxed) {
            self.file.warm.store(end, Relaxed);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_fetch(&mut self, len: u64, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Content::Disk(file) = &self.file.content else { return Poll::Ready(Ok(())) };
        let fetching = self.fetching.get_or_insert_with(|| {
            let (file, offset) = (file.clone(), self.offset);
            tokio::task::spawn_blocking(move || file::fetch(file.as_fd(), offset, len as usize))
        });
        let fetched = ready!(Pin::new(fetching).poll(cx));
        self.fetching = None;
        match fetched {
            Ok(outcome) => Poll::Ready(outcome.map_err(failure_of)),
            // The process ends.
            Err(_) => Poll::Ready(Err(Failure::FileError("the thread that reads it has ended"))),
        }
    }

    /// Reads the next piece into the buffer.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            if self.fetching.is_some() {
                ready!(self.poll_fetch(PIECE.min(self.left), cx))?;
                self.fetched = true;
            }
            let Content::Disk(file) = &self.file.content else { return Poll::Ready(Ok(())) };
            if self.left > LARGE_FROM {
                self.buffer.enlarge();
            }
            let room = self.buffer.room();
            let len = room.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            let read = if std::mem::take(&mut self.fetched) {
                rustix::io::pread(&**file, &mut room[..len], self.offset).map(Read::Done)
            } else {
                file::read_warm(file.as_fd(), &mut room[..len], self.offset)
            };
            match read.map_err(failure_of)? {
                Read::Done(0) => return Poll::Ready(Err(Failure::FileShrank)),
                Read::Done(count) => {
                    self.buffer.filled(count);
                    return Poll::Ready(Ok(()));
                }
                Read::Cold => {
                    self.buffer.release_when_empty();
                    ready!(self.poll_fetch(PIECE.min(self.left), cx))?;
                    self.fetched = true;
                }
            }
        }
    }
}

impl BodyStream for FileBody {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        if self.left == 0 {
            self.buffer.release_when_empty();
            return Poll::Ready(Ok(b""));
        }
        if self.file.descriptor().is_some() && self.buffer.is_empty() {
            ready!(self.poll_turn(cx));
            ready!(self.poll_read(cx))?;
        }
        Poll::Ready(Ok(self.bytes().unwrap_or(self.buffer.data())))
    }

    fn consume(&mut self, count: usize) {
        self.buffer.consume(count);
        self.sent(count);
    }

    fn length(&self) -> BodyLength {
        BodyLength::Exact(self.left)
    }

    fn trailers(&mut self) -> Option<Fields> {
        None
    }
}

/// What a client and the log are told of an error of the system about a file.
pub fn failure_of(error: Errno) -> Failure {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP | Errno::XDEV => Failure::NoFile,
        // A name with bytes that the file system does not have.
        Errno::INVAL | Errno::ILSEQ => Failure::NoFile,
        Errno::ACCESS | Errno::PERM => Failure::FileForbidden,
        Errno::MFILE | Errno::NFILE => Failure::OutOfFiles,
        Errno::IO => Failure::FileError("input/output error"),
        Errno::NOMEM => Failure::FileError("out of memory"),
        Errno::STALE => Failure::FileError("stale file handle"),
        _ => Failure::FileError("unexpected error"),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write;

    use super::*;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|index| (index / 251) as u8).collect()
    }

    fn on_disk(content: &[u8]) -> Arc<StoredFile> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        Arc::new(StoredFile::on_disk(file.into()))
    }

    fn read_all(mut body: FileBody) -> Result<Vec<u8>, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut all = Vec::new();
            loop {
                let count = poll_fn(|cx| {
                    body.poll_data(cx).map_ok(|data| {
                        all.extend_from_slice(data);
                        data.len()
                    })
                })
                .await?;
                if count == 0 {
                    return Ok(all);
                }
                body.consume(count);
            }
        })
    }

    #[test]
    fn parts_of_a_file_are_read_as_they_are() {
        let all = bytes(3_000_000);
        let (disk, memory) = (on_disk(&all), Arc::new(StoredFile::in_memory(all[..5000].into())));
        for (offset, len) in
            [(0, 3_000_000), (0, 0), (1, 1), (2_999_999, 1), (70_000, 16 << 10), (5, 1 << 20)]
        {
            let read = read_all(FileBody::new(disk.clone(), offset, len)).unwrap();
            assert!(read == all[offset as usize..(offset + len) as usize], "{offset} {len}");
        }
        for (offset, len) in [(0, 5000), (0, 0), (4999, 1), (10, 100)] {
            let read = read_all(FileBody::new(memory.clone(), offset, len)).unwrap();
            assert!(read == all[offset as usize..(offset + len) as usize], "{offset} {len}");
        }
    }

    #[test]
    fn a_file_that_is_shorter_than_told_fails_and_a_longer_one_is_cut() {
        let file = on_disk(&bytes(100_000));
        assert_eq!(read_all(FileBody::new(file.clone(), 0, 100_001)), Err(Failure::FileShrank));
        assert_eq!(read_all(FileBody::new(file, 0, 99_999)).map(|all| all.len()), Ok(99_999));
    }
}

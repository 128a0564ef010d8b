//! Reading of files on a worker's thread, which must not wait for a disk: what is in memory is read at once, what
//! is not is told, for another thread to fetch.

use std::io::IoSliceMut;
use std::os::fd::BorrowedFd;

use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};

/// What became of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// So many bytes; 0 is the end of the file.
    Done(usize),
    /// The bytes are on the disk.
    Cold,
}

/// Reads from `offset` on what is in memory. A file system that cannot tell is read as it is.
pub fn read_warm(file: BorrowedFd<'_>, into: &mut [u8], offset: u64) -> rustix::io::Result<Read> {
    loop {
        match preadv2(file, &mut [IoSliceMut::new(into)], offset, ReadWriteFlags::NOWAIT) {
            Ok(count) => return Ok(Read::Done(count)),
            Err(Errno::AGAIN) => return Ok(Read::Cold),
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                return pread(file, into, offset).map(Read::Done);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether the byte at `offset` is in memory; also when nothing is there, or nobody can tell.
pub fn is_warm(file: BorrowedFd<'_>, offset: u64) -> rustix::io::Result<bool> {
    Ok(read_warm(file, &mut [0], offset)? != Read::Cold)
}

/// Brings `len` bytes from `offset` on into memory, however long that takes.
pub fn fetch(file: BorrowedFd<'_>, mut offset: u64, mut len: usize) -> rustix::io::Result<()> {
    let mut piece = vec![0; len.min(FETCHED_AT_ONCE)];
    while len > 0 {
        let room = piece.len().min(len);
        match pread(file, &mut piece[..room], offset) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                offset += count as u64;
                len -= count;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

const FETCHED_AT_ONCE: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use rustix::fs::{Advice, fadvise, fsync};

    use super::*;

    /// On every file system the bytes come; where it can tell, a cold file says so first.
    #[test]
    fn a_cold_file_is_fetched_and_then_warm() {
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let all: Vec<u8> = (0..300_000u32).map(|index| (index / 7) as u8).collect();
        file.write_all(&all).unwrap();
        fsync(&file).unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        let mut room = vec![0; all.len()];
        let _ = read_warm(file.as_fd(), &mut room, 0).unwrap();
        fetch(file.as_fd(), 0, all.len()).unwrap();
        assert!(is_warm(file.as_fd(), all.len() as u64 - 1).unwrap());
        assert_eq!(read_warm(file.as_fd(), &mut room, 0).unwrap(), Read::Done(all.len()));
        assert!(room == all);
        assert_eq!(read_warm(file.as_fd(), &mut room, all.len() as u64).unwrap(), Read::Done(0));
        assert!(is_warm(file.as_fd(), 1 << 40).unwrap(), "nothing is there to wait for");
        fetch(file.as_fd(), 299_999, 1 << 20).unwrap();
    }
}

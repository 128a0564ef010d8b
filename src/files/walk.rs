//! The long way to a file below a folder, for kernels and sandboxes without `openat2`, and for links that name the
//! root itself: one segment after the other, each opened without following it, so that a link that appears in
//! between is seen as one. `..` goes back the way that was come, and never above the root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;

use super::open::{READ, Symlinks};
use super::path::Below;

/// As many as the kernel follows.
const MOST_LINKS: usize = 40;

/// Opens `name` below `root`, which is the folder at `path`.
pub fn walk(root: BorrowedFd<'_>, path: &Path, name: &Below, symlinks: Symlinks) -> Result<OwnedFd, Errno> {
    // Where the walk is, from the root down; and where it still has to go, the next segment last.
    let mut way: Vec<OwnedFd> = Vec::new();
    let mut rest: Vec<Vec<u8>> = reversed(name.segments());
    let mut links = 0;
    while let Some(segment) = rest.pop() {
        match &segment[..] {
            b"" | b"." => continue,
            b".." => {
                way.pop().ok_or(Errno::XDEV)?;
                continue;
            }
            _ => {}
        }
        let here = way.last().map_or(root, |folder| folder.as_fd());
        let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = openat(here, &segment[..], look, Mode::empty())?;
        match FileType::from_raw_mode(fstat(&found)?.st_mode) {
            FileType::Directory => way.push(found),
            FileType::Symlink => {
                links += 1;
                if symlinks == Symlinks::Never || links > MOST_LINKS {
                    return Err(Errno::LOOP);
                }
                let target = readlinkat(&found, "", Vec::new())?.into_bytes();
                let relative = match target.strip_prefix(b"/") {
                    None => &target[..],
                    Some(_) => {
                        way.clear();
                        below(path, &target).ok_or(Errno::XDEV)?
                    }
                };
                rest.extend(reversed(relative.split(|byte| *byte == b'/')));
            }
            // Should something else be there by now, it is opened without being followed, and told by its kind.
            FileType::RegularFile if rest.is_empty() => {
                return openat(here, &segment[..], READ | OFlags::NOFOLLOW, Mode::empty());
            }
            FileType::RegularFile => return Err(Errno::NOTDIR),
            _ => return Err(Errno::NOENT),
        }
    }
    let folder = way.last().map_or(root, |folder| folder.as_fd());
    openat(folder, c".", READ | OFlags::DIRECTORY, Mode::empty())
}

/// What an absolute target names below the root, as that is written or as it really is.
fn below<'t>(root: &Path, target: &'t [u8]) -> Option<&'t [u8]> {
    let real = std::fs::canonicalize(root).ok();
    [Some(root), real.as_deref()].into_iter().flatten().find_map(|root| {
        let root = root.as_os_str().as_bytes();
        let rest = target.strip_prefix(root.strip_suffix(b"/").unwrap_or(root))?;
        (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
    })
}

/// Segments of their own, the last first.
fn reversed<'s>(segments: impl Iterator<Item = &'s [u8]>) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = segments.map(<[u8]>::to_vec).collect();
    all.reverse();
    all
}

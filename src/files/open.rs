//! Opens what lies below a folder, and nothing else. The kernel keeps to the folder while it resolves the name
//! (`openat2`), so there is no moment between a check and the opening. Where it cannot, `walk` goes step by step.

use std::fs::{File, Metadata};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::path::Below;
use super::walk::walk;

/// What is done about symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Symlinks {
    /// Followed as long as they stay below the root.
    #[default]
    Inside,
    /// As good as not there.
    Never,
    /// Followed wherever they lead.
    Follow,
}

/// Whether the caller may wait for a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It may not: `EAGAIN` says that this is to be asked again by somebody who may.
    None,
    Any,
}

/// The folder that files are below.
#[derive(Debug)]
pub struct Root {
    pub folder: OwnedFd,
    /// Device and inode: another folder may have come in the place of this one.
    identity: (u64, u64),
}

impl Root {
    pub fn open(path: &Path, patience: Patience) -> Result<Root, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = match patience {
            Patience::None => {
                openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).map_err(|_| Errno::AGAIN)?
            }
            Patience::Any => openat(CWD, path, flags, Mode::empty())?,
        };
        let stat = rustix::fs::fstat(&folder)?;
        Ok(Root { folder, identity: (stat.st_dev, stat.st_ino) })
    }

    /// Differs between folders.
    pub fn mark(&self) -> u64 {
        let (device, inode) = self.identity;
        inode ^ device.rotate_left(40)
    }

    pub fn is_same(&self, other: &Root) -> bool {
        self.identity == other.identity
    }
}

/// Opens a regular file or a folder below the root, which was opened by `path`. Anything else (devices, FIFOs,
/// sockets), and what lies outside, is as good as not there; opening never waits for a writer, and reads nothing.
pub fn open(
    (root, path): (&Root, &Path),
    name: &Below,
    symlinks: Symlinks,
    patience: Patience,
) -> Result<(File, Metadata), Errno> {
    let folder = root.folder.as_fd();
    let opened = match by_kernel(folder, name, symlinks, patience) {
        // Whatever it is that cannot be told quickly: the long way shows.
        Err(Errno::NOSYS | Errno::PERM | Errno::XDEV) if patience == Patience::None => {
            return Err(Errno::AGAIN);
        }
        // No such call (or a sandbox that does not know it); a link that is absolute, or a race with a rename.
        Err(Errno::NOSYS | Errno::PERM | Errno::XDEV | Errno::AGAIN) if patience == Patience::Any => {
            step_by_step(folder, path, name, symlinks)
        }
        // A socket, or a device without a driver.
        Err(Errno::NXIO | Errno::NODEV) => return Err(Errno::NOENT),
        opened => opened,
    }?;
    let file = File::from(opened);
    let metadata = file.metadata().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    if metadata.is_file() || metadata.is_dir() { Ok((file, metadata)) } else { Err(Errno::NOENT) }
}

fn by_kernel(
    root: BorrowedFd<'_>,
    name: &Below,
    symlinks: Symlinks,
    patience: Patience,
) -> Result<OwnedFd, Errno> {
    let mut resolve = ResolveFlags::NO_MAGICLINKS;
    resolve |= match symlinks {
        Symlinks::Inside => ResolveFlags::BENEATH,
        Symlinks::Never => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        Symlinks::Follow => ResolveFlags::empty(),
    };
    if patience == Patience::None {
        resolve |= ResolveFlags::CACHED;
    }
    openat2(root, or_dot(name), READ, Mode::empty(), resolve)
}

fn step_by_step(
    root: BorrowedFd<'_>,
    path: &Path,
    name: &Below,
    symlinks: Symlinks,
) -> Result<OwnedFd, Errno> {
    match symlinks {
        Symlinks::Follow => openat(root, or_dot(name), READ, Mode::empty()),
        Symlinks::Inside | Symlinks::Never => walk(root, path, name, symlinks),
    }
}

fn or_dot(name: &Below) -> &[u8] {
    if name.as_bytes().is_empty() { b"." } else { name.as_bytes() }
}

/// A FIFO without a writer does not hold anybody up, and no terminal becomes this process's own.
pub(super) const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn tree() -> testkit::TempDir {
        let dir = testkit::temp_dir();
        let root = dir.join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(dir.join("secret"), "secret").unwrap();
        fs::write(root.join("file"), "file").unwrap();
        fs::write(root.join("a/b/deep"), "deep").unwrap();
        for (link, target) in [
            ("in", "a/b/deep"),
            ("a/up", "../file"),
            ("a/b/upup", "../../a/../file"),
            ("folder", "a/b"),
            ("chain", "in"),
            ("out", "../secret"),
            ("a/out", "../../secret"),
            ("a/around", "../../root/file"),
            ("nowhere", "missing"),
            ("self", "self"),
            ("to-out", "out"),
            ("etc", "/etc"),
            ("proc", "/proc/self/root/etc/passwd"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        symlink(root.join("a/b/deep"), root.join("absolute")).unwrap();
        symlink(root.join("a/../../secret"), root.join("absolute-out")).unwrap();
        symlink(dir.join("secret"), root.join("absolute-secret")).unwrap();
        rustix::fs::mknodat(
            CWD,
            root.join("fifo"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o644),
            0,
        )
        .unwrap();
        drop(UnixListener::bind(root.join("socket")).unwrap());
        dir
    }

    /// What each way of opening comes to: the text of a file, `folder`, or an error.
    fn read(opened: Result<OwnedFd, Errno>) -> Result<String, Errno> {
        let mut file = File::from(opened?);
        let metadata = file.metadata().unwrap();
        if metadata.is_dir() {
            return Ok("folder".to_owned());
        }
        assert!(metadata.is_file());
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        Ok(text)
    }

    #[test]
    fn both_ways_open_the_same_and_nothing_outside() {
        let dir = tree();
        let path = dir.join("root");
        let root = Root::open(&path, Patience::Any).unwrap();
        for (name, inside, never) in [
            ("", Some("folder"), Some("folder")),
            ("file", Some("file"), Some("file")),
            ("a", Some("folder"), Some("folder")),
            ("a/b/deep", Some("deep"), Some("deep")),
            ("missing", None, None),
            ("file/x", None, None),
            ("a/missing/x", None, None),
            ("in", Some("deep"), None),
            ("a/up", Some("file"), None),
            ("a/b/upup", Some("file"), None),
            ("folder", Some("folder"), None),
            ("folder/deep", Some("deep"), None),
            ("chain", Some("deep"), None),
            ("absolute", Some("deep"), None),
            ("out", None, None),
            ("a/out", None, None),
            ("a/around", None, None),
            ("nowhere", None, None),
            ("self", None, None),
            ("to-out", None, None),
            ("etc", None, None),
            ("etc/passwd", None, None),
            ("proc", None, None),
            ("absolute-out", None, None),
            ("absolute-secret", None, None),
            ("fifo", None, None),
            ("socket", None, None),
        ] {
            let below = Below::new(name.as_bytes().to_vec()).unwrap();
            for (symlinks, expected) in [(Symlinks::Inside, inside), (Symlinks::Never, never)] {
                let whole =
                    open((&root, &path), &below, symlinks, Patience::Any).map(|(file, _)| file.into());
                assert_eq!(read(whole).ok().as_deref(), expected, "{name} {symlinks:?}");
                let walked = walk(root.folder.as_fd(), &path, &below, symlinks);
                assert_eq!(read(walked).ok().as_deref(), expected, "{name} {symlinks:?}, step by step");
                // Who may not wait gets the same or is told to ask again.
                match open((&root, &path), &below, symlinks, Patience::None) {
                    Err(Errno::AGAIN) => {}
                    quick => {
                        let quick = read(quick.map(|(file, _)| file.into()));
                        assert_eq!(quick.ok().as_deref(), expected, "{name} {symlinks:?}, at once");
                    }
                }
            }
        }
        let out = Below::new(b"out".to_vec()).unwrap();
        let followed = open((&root, &path), &out, Symlinks::Follow, Patience::Any).unwrap();
        assert_eq!(read(Ok(followed.0.into())).as_deref(), Ok("secret"));
        let fifo = Below::new(b"fifo".to_vec()).unwrap();
        assert_eq!(open((&root, &path), &fifo, Symlinks::Follow, Patience::Any).unwrap_err(), Errno::NOENT);
    }

    /// Somebody swaps a file for a link to the secret, over and over: what is opened is one or nothing.
    #[test]
    fn no_swap_opens_what_is_outside() {
        let dir = tree();
        let path = dir.join("root");
        let root = Root::open(&path, Patience::Any).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let [swap, good, bad] = ["swap", "good.tmp", "bad.tmp"].map(|name| path.join(name));
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    fs::write(&good, "file").unwrap();
                    fs::rename(&good, &swap).unwrap();
                    symlink("../secret", &bad).unwrap();
                    fs::rename(&bad, &swap).unwrap();
                }
            });
            let swap = Below::new(b"swap".to_vec()).unwrap();
            let mut seen = 0;
            let mut tries = 0;
            while tries < 3000 || (seen == 0 && tries < 1_000_000) {
                tries += 1;
                for opened in [
                    open((&root, &path), &swap, Symlinks::Inside, Patience::Any).map(|(file, _)| file.into()),
                    walk(root.folder.as_fd(), &path, &swap, Symlinks::Inside),
                ] {
                    if let Ok(text) = read(opened) {
                        seen += 1;
                        assert_ne!(text, "secret");
                    }
                }
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(seen > 0, "it was there now and then");
        });
    }

    #[test]
    fn a_root_is_known_again() {
        let dir = tree();
        let (path, other) = (dir.join("root"), dir.join("root/a"));
        let root = Root::open(&path, Patience::Any).unwrap();
        assert!(root.is_same(&Root::open(&path, Patience::Any).unwrap()));
        assert!(!root.is_same(&Root::open(&other, Patience::Any).unwrap()));
        assert!(Root::open(&dir.join("secret"), Patience::Any).is_err());
    }
}

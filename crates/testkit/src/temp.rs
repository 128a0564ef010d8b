//! Throw-away folders.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process};

/// A folder of its own, removed with everything in it on drop. The path is short enough for Unix sockets.
#[derive(Debug)]
pub struct TempDir {
    path: PathBuf,
}

/// Creates an empty folder under the system's folder for temporary files.
#[track_caller]
pub fn temp_dir() -> TempDir {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("palisade-{}-{number}", process::id()));
        match fs::create_dir(&path) {
            Ok(()) => return TempDir { path },
            // Left behind by an earlier process with our id that was killed.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
            Err(error) => panic!("cannot create {}: {error}", path.display()),
        }
    }
}

impl Deref for TempDir {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Nothing useful can be done here, and a panic in drop would hide the test's own.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_distinct_and_vanish_with_their_content() {
        let (first, second) = (temp_dir(), temp_dir());
        assert_ne!(&*first, &*second);
        fs::write(first.join("file"), "text").unwrap();
        let path = first.to_path_buf();
        drop(first);
        assert!(!path.exists());
        assert!(second.exists());
    }
}

//! A look at a file of endpoints: read only when it is another one than the last time.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::upstream::EndpointOptions;
use crate::wire::Stamp;

/// Reads and checks a file; the error is for the operator, with line and hint.
pub type ReadFile = fn(&Path) -> Result<Vec<EndpointOptions>, String>;

#[derive(Debug)]
pub enum Look {
    Unchanged,
    /// `stamp` is `None` when the next look must read again.
    Read {
        stamp: Option<Stamp>,
        content: Result<Vec<EndpointOptions>, String>,
    },
}

impl Look {
    pub fn failed(why: &str) -> Look {
        Look::Read { stamp: None, content: Err(why.to_owned()) }
    }
}

/// A file that was changed this short a time ago may change again without a new time stamp.
const SETTLED: Duration = Duration::from_secs(2);

/// Blocks while it reads.
pub fn look(path: &Path, last: Option<Stamp>, read: ReadFile) -> Look {
    let metadata = std::fs::metadata(path).ok();
    // Taken before it is read: what changes meanwhile is seen at the next look.
    let stamp = metadata.as_ref().map(Stamp::from);
    if stamp.is_some() && stamp == last {
        return Look::Unchanged;
    }
    let modified = metadata.and_then(|metadata| metadata.modified().ok());
    let settled = modified.and_then(|then| SystemTime::now().duration_since(then).ok());
    let settled = settled.is_some_and(|age| age > SETTLED);
    Look::Read { stamp: stamp.filter(|_| settled), content: read(path) }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::wire::Stamp;

    fn read(_: &Path) -> Result<Vec<EndpointOptions>, String> {
        Ok(Vec::new())
    }

    /// The stamp, when the file was read.
    fn stamp(look: Look) -> Option<Option<Stamp>> {
        match look {
            Look::Unchanged => None,
            Look::Read { stamp, .. } => Some(stamp),
        }
    }

    fn write(path: &Path, modified: SystemTime) {
        fs::write(path, "text").unwrap();
        File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    }

    #[test]
    fn a_file_is_read_again_when_it_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, draft) = (dir.path().join("list"), dir.path().join("draft"));
        let long_ago = SystemTime::now() - Duration::from_secs(60);
        write(&path, long_ago);
        let first = stamp(look(&path, None, read)).unwrap();
        assert!(first.is_some());
        assert_eq!(stamp(look(&path, first, read)), None);
        // The same time and size.
        write(&draft, long_ago);
        fs::rename(&draft, &path).unwrap();
        let second = stamp(look(&path, first, read)).unwrap();
        assert_ne!(second, first);
        assert_eq!(stamp(look(&path, second, read)), None);
        fs::remove_file(&path).unwrap();
        assert_eq!(stamp(look(&path, second, read)), Some(None));
    }

    #[test]
    fn a_file_that_was_written_just_now_is_read_once_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        write(&path, SystemTime::now());
        assert_eq!(stamp(look(&path, None, read)), Some(None));
        // Also when the clock was set back meanwhile.
        write(&path, SystemTime::now() + Duration::from_secs(3600));
        assert_eq!(stamp(look(&path, None, read)), Some(None));
    }
}

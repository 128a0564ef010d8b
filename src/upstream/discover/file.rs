//! A look at a file of endpoints: read only when it is another one than the last time.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::stamp::Stamp;
use crate::upstream::EndpointOptions;

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

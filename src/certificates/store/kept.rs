//! What was loaded from files, and whether the files are still the ones that it was loaded from. What a
//! look finds is judged by plain functions of it and the time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::certificates::digest::Digest;
use crate::certificates::load::Flaw;
use crate::wire::Stamp;

/// A certificate and its key are two files: for a moment they may not belong together.
const PATIENCE: Duration = Duration::from_secs(5);
/// A file that was changed this short a time ago may change again without a new time stamp.
const SETTLED: Duration = Duration::from_secs(2);

/// Of several files that are one; `None` when the next look must read them again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamps(Option<Vec<Stamp>>);

impl Stamps {
    pub(super) const UNKNOWN: Stamps = Stamps(None);

    /// Of what is behind the paths now.
    pub(super) fn of<'p>(paths: impl IntoIterator<Item = &'p PathBuf>) -> Stamps {
        Stamps(paths.into_iter().map(|path| stamp(path)).collect())
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    let age = SystemTime::now().duration_since(metadata.modified().ok()?).ok()?;
    (age > SETTLED).then(|| Stamp::from(&metadata))
}

/// What one look at changed files brought.
#[derive(Debug)]
pub(super) struct Look<T> {
    /// Taken before they were read: what changes meanwhile is seen at the next look.
    pub(super) stamps: Stamps,
    pub(super) outcome: Result<T, Flaw>,
}

impl<T> Look<T> {
    /// Reads when the files are not those of `last`. Blocks.
    pub(super) fn at<'p>(
        paths: impl IntoIterator<Item = &'p PathBuf>,
        last: &Stamps,
        load: impl FnOnce() -> Result<T, Flaw>,
    ) -> Option<Look<T>> {
        let stamps = Stamps::of(paths);
        let unchanged = stamps != Stamps::UNKNOWN && stamps == *last;
        (!unchanged).then(|| Look { stamps, outcome: load() })
    }
}

/// What is used, and what is wrong with the files since.
#[derive(Debug)]
pub(super) struct Kept<T> {
    pub(super) value: Arc<T>,
    pub(super) stamps: Stamps,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    why: String,
    since: Instant,
    told: bool,
}

/// What has changed for an operator.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Other contents are used from now on.
    Renewed,
    /// The files have been broken for a while; what was loaded before is used.
    Broken(String),
    /// They are what they were before they broke.
    Mended,
}

impl<T> Kept<T> {
    /// The first look reads again and finds the same, or what has changed since `value` was loaded.
    pub(super) fn new(value: Arc<T>) -> Kept<T> {
        Kept { value, stamps: Stamps::UNKNOWN, trouble: None }
    }

    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| trouble.why.as_str())
    }

    /// `content` tells whether two values are the same.
    pub(super) fn note(
        &mut self,
        look: Look<T>,
        content: impl Fn(&T) -> Digest,
        now: Instant,
    ) -> Option<News> {
        match look.outcome {
            Ok(value) => {
                self.stamps = look.stamps;
                let told = self.trouble.take().is_some_and(|trouble| trouble.told);
                if content(&value) == content(&self.value) {
                    return told.then_some(News::Mended);
                }
                self.value = Arc::new(value);
                Some(News::Renewed)
            }
            Err(flaw) => {
                self.stamps = Stamps::UNKNOWN;
                let fresh = || Trouble { why: String::new(), since: now, told: false };
                let trouble = self.trouble.get_or_insert_with(fresh);
                trouble.why = flaw.to_string();
                let due = !trouble.told && now.saturating_duration_since(trouble.since) >= PATIENCE;
                trouble.told |= due;
                due.then(|| News::Broken(trouble.why.clone()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::certificates::load::Culprit;

    fn good(byte: u8) -> Look<u8> {
        Look { stamps: Stamps::UNKNOWN, outcome: Ok(byte) }
    }

    fn bad(why: &str) -> Look<u8> {
        Look { stamps: Stamps::UNKNOWN, outcome: Err(Flaw::new(Culprit::Key, why)) }
    }

    #[test]
    fn trouble_is_told_once_after_a_while_and_the_old_is_kept() {
        let mut kept = Kept::new(Arc::new(1));
        let start = Instant::now();
        let mut note = |look, seconds| {
            let news = kept.note(look, |byte| [*byte; 32], start + Duration::from_secs(seconds));
            (news, *kept.value, kept.trouble().is_some())
        };
        assert_eq!(note(bad("one"), 0), (None, 1, true));
        assert_eq!(note(bad("two"), 4), (None, 1, true));
        assert_eq!(note(bad("two"), 5), (Some(News::Broken("two".to_owned())), 1, true));
        assert_eq!(note(bad("three"), 600), (None, 1, true), "not again");
        assert_eq!(note(good(1), 601), (Some(News::Mended), 1, false));
        assert_eq!(note(bad("one"), 700), (None, 1, true));
        assert_eq!(note(good(1), 701), (None, 1, false), "nobody heard of it");
        assert_eq!(note(bad("one"), 800), (None, 1, true));
        assert_eq!(note(good(2), 801), (Some(News::Renewed), 2, false));
    }

    #[test]
    fn a_file_is_read_when_another_one_is_behind_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let (link, path) = (dir.path().join("link"), dir.path().join("link/key"));
        for version in ["v1", "v2"] {
            let folder = dir.path().join(version);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("key"), "same size").unwrap();
            let long_ago = SystemTime::now() - Duration::from_secs(60);
            File::options().write(true).open(folder.join("key")).unwrap().set_modified(long_ago).unwrap();
        }
        let point = |version: &str| {
            std::os::unix::fs::symlink(version, dir.path().join("new")).unwrap();
            fs::rename(dir.path().join("new"), &link).unwrap();
        };
        let look = |last: &Stamps| Look::at([&path], last, || Ok(())).map(|look| look.stamps);
        point("v1");
        let first = look(&Stamps::UNKNOWN).unwrap();
        assert_eq!(look(&first), None);
        point("v2");
        let second = look(&first).unwrap();
        assert_eq!(look(&second), None);
        fs::remove_file(&link).unwrap();
        assert_eq!(look(&second), Some(Stamps::UNKNOWN));
        assert_eq!(look(&Stamps::UNKNOWN), Some(Stamps::UNKNOWN), "what is not there is looked for");
    }

    #[test]
    fn what_was_written_just_now_is_read_once_more() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_path_buf();
        assert_eq!(Stamps::of([&path]), Stamps::UNKNOWN);
    }
}

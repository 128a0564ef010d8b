//! Files below a folder, as a target of routes: what is asked for, in the form and the part that the client wants.
//!
//! The folder is opened by its path, anew at most a second after the last time, so that a link that is swapped
//! (`current -> release-12`) is followed without a reload. What was found below another folder is not believed.

mod cache;
mod conditions;
mod found;
mod listing;
mod multipart;
mod open;
mod options;
mod path;
pub mod ranges;
mod reply;
mod types;
mod visible;
mod walk;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use http1::{Method, Name, RequestHead, TargetForm};
use rustix::io::Errno;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use self::found::{Found, FoundFile, Search};
use self::listing::Wish;
use self::open::{Patience, Root};
use self::path::Below;
use self::reply::Chosen;
use crate::message::path::push_escape;
use crate::message::{Failure, Request, Response, failure_of, pages};
use crate::wire::Scratch;

pub use cache::MOST_OPEN;
pub use open::Symlinks;
pub use options::FilesOptions;
pub use types::Types;
pub use visible::Visible;

/// One target.
#[derive(Debug)]
pub struct Files {
    /// By which a worker's cache knows it.
    number: u64,
    /// Of the root that any worker opened last: what another one knows of an earlier root is not believed then.
    latest: AtomicU64,
    options: Arc<FilesOptions>,
    /// A prefix is taken off the path: what is left may have a slash that the client did not write.
    strips_prefix: bool,
}

/// What is at a path, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explained {
    /// The name below the root, bytes, media type, and the codings in which it lies there too.
    File {
        name: String,
        size: u64,
        media_type: String,
        codings: Vec<&'static str>,
    },
    Redirect,
    Listing,
    /// The fallback for browsers.
    Fallback(String),
    Failure(Failure),
}

impl Files {
    /// `strips_prefix` says that the route does.
    pub fn new(options: FilesOptions, strips_prefix: bool) -> Files {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        Files { number, latest: AtomicU64::new(0), options: Arc::new(options), strips_prefix }
    }

    /// `now` is when the request came; its path is canonical.
    pub async fn answer(&self, request: &Request<'_>, now: Instant) -> Result<Response<'static>, Failure> {
        let head = &request.head;
        match head.method {
            Method::Get | Method::Head => {}
            Method::Options => return Ok(allowed()),
            _ => return Err(Failure::FileMethod),
        }
        let mut found = self.current(request, head.path(), self.is_folder(head), now).await;
        if found.as_ref().is_ok_and(|found| **found == Found::FolderWithoutSlash) && asks_for_folder(head) {
            found = self.current(request, head.path(), true, now).await;
        }
        let outcome = match found {
            Ok(found) => match &*found {
                Found::File(file) => return Ok(Chosen::of(file, request).reply(request, &self.options, "")),
                Found::FolderWithoutSlash => return Ok(with_slash(request)),
                Found::Folder if self.options.browse => return self.list(request, now).await,
                Found::Folder => Err(Failure::NoFile),
            },
            Err(failure) => Err(failure),
        };
        match (outcome, &self.options.spa_fallback) {
            (Err(Failure::NoFile), Some(fallback)) if wants_page(head) => {
                self.fall_back(request, fallback, now).await
            }
            (outcome, _) => outcome,
        }
    }

    /// The page of an application that knows the path itself.
    async fn fall_back(
        &self,
        request: &Request<'_>,
        fallback: &str,
        now: Instant,
    ) -> Result<Response<'static>, Failure> {
        let found = self.current(request, fallback.as_bytes(), false, now).await?;
        match &*found {
            Found::File(file) => Ok(Chosen::of(file, request).reply(request, &self.options, "Accept")),
            Found::Folder | Found::FolderWithoutSlash => Err(Failure::NoFile),
        }
    }

    /// What lies at a canonical path; looked for once more when the form that would be sent has changed since it was
    /// found.
    #[inline]
    async fn current(
        &self,
        request: &Request<'_>,
        path: &[u8],
        as_folder: bool,
        now: Instant,
    ) -> Result<Rc<Found>, Failure> {
        let found = self.find(path, as_folder, now).await?;
        match &*found {
            Found::File(file) if !Chosen::of(file, request).form.is_current() => {
                cache::forget(&self.key(path, as_folder));
                self.find(path, as_folder, now).await
            }
            _ => Ok(found),
        }
    }

    async fn list(&self, request: &Request<'_>, now: Instant) -> Result<Response<'static>, Failure> {
        let root = self.root(now).await?;
        let name = Below::decode(request.head.path())?;
        let (options, wish) = (self.options.clone(), Wish::of(&request.head));
        // Each takes memory and a thread while it is made.
        let _turn = LISTS.acquire().await.map_err(|_| ENDED)?;
        let text = spawn_blocking(move || {
            let search = Search { root: &root, options: &options, patience: Patience::Any };
            listing::read(search, &name).map(|listing| listing.write(&name, wish))
        });
        listing::answer(text.await.map_err(|_| ENDED)?.map_err(failure_of)?, wish)
    }

    /// What lies at a canonical path: as it was found lately, or looked for now.
    async fn find(&self, path: &[u8], as_folder: bool, now: Instant) -> Result<Rc<Found>, Failure> {
        let root = self.root(now).await?;
        let key = self.key(path, as_folder);
        if let Some(found) = cache::found(&key, &root, now) {
            return Ok(found);
        }
        let name = Below::decode(path)?;
        let quick = Search { root: &root, options: &self.options, patience: Patience::None };
        let looked = match quick.look(&name, as_folder) {
            Err(Errno::AGAIN) => {
                let (root, options) = (root.clone(), self.options.clone());
                let slow = spawn_blocking(move || {
                    let search = Search { root: &root, options: &options, patience: Patience::Any };
                    search.look(&name, as_folder)
                });
                slow.await.map_err(|_| ENDED)?
            }
            looked => looked,
        };
        match looked {
            Ok(found) => Ok(cache::keep(&key, &root, found, now)),
            Err(error) => {
                cache::forget(&key);
                Err(failure_of(error))
            }
        }
    }

    async fn root(&self, now: Instant) -> Result<Arc<Root>, Failure> {
        if let Some(root) = cache::root(self.number, now)
            && root.mark() == self.latest.load(Acquire)
        {
            return Ok(root);
        }
        let opened = match Root::open(&self.options.root, Patience::None) {
            Err(_) => {
                let options = self.options.clone();
                let slow = spawn_blocking(move || Root::open(&options.root, Patience::Any));
                slow.await.map_err(|_| ENDED)?
            }
            opened => opened,
        };
        match opened {
            Ok(root) => {
                self.latest.store(root.mark(), Release);
                Ok(cache::keep_root(self.number, root, now))
            }
            Err(Errno::MFILE | Errno::NFILE) => Err(Failure::OutOfFiles),
            Err(_) => Err(Failure::FileError("the root cannot be opened")),
        }
    }

    fn key(&self, path: &[u8], as_folder: bool) -> Scratch {
        let mut key = Scratch::take();
        key.extend_from_slice(&self.number.to_ne_bytes());
        key.push(u8::from(as_folder));
        key.extend_from_slice(path);
        key
    }

    /// Whether the client's own path ends in a slash, so that names in a page are relative to the folder.
    fn is_folder(&self, head: &RequestHead) -> bool {
        let slash = head.path().ends_with(b"/");
        // The prefix alone may have been asked for: `/static` or `/static/`.
        slash && (!self.strips_prefix || asks_for_folder(head))
    }

    /// What would be served, found out without a worker.
    pub fn explain(&self, head: &RequestHead) -> Explained {
        let root = match Root::open(&self.options.root, Patience::Any) {
            Ok(root) => root,
            Err(_) => return Explained::Failure(Failure::FileError("the root cannot be opened")),
        };
        let search = Search { root: &root, options: &self.options, patience: Patience::Any };
        let look = |as_folder| {
            Below::decode(head.path()).and_then(|name| search.look(&name, as_folder).map_err(failure_of))
        };
        let looked = match look(self.is_folder(head)) {
            Ok(Found::FolderWithoutSlash) if asks_for_folder(head) => look(true),
            looked => looked,
        };
        match looked {
            Ok(Found::File(file)) => explained(&file),
            Ok(Found::FolderWithoutSlash) => Explained::Redirect,
            Ok(Found::Folder) if self.options.browse => Explained::Listing,
            Ok(Found::Folder) | Err(Failure::NoFile) => match &self.options.spa_fallback {
                Some(fallback) => Explained::Fallback(fallback.clone()),
                None => Explained::Failure(Failure::NoFile),
            },
            Err(failure) => Explained::Failure(failure),
        }
    }
}

/// So many lists are made at the same time, of all workers.
static LISTS: Semaphore = Semaphore::const_new(8);

/// The thread that looked is gone: the process ends.
const ENDED: Failure = Failure::FileError("the thread that looks for it has ended");

fn explained(file: &FoundFile) -> Explained {
    let codings = file.codings.iter().map(|coding| coding.token());
    Explained::File {
        name: String::from_utf8_lossy(&file.name).into_owned(),
        size: file.plain.size,
        media_type: file.media_type.to_string(),
        codings: codings.collect(),
    }
}

fn allowed() -> Response<'static> {
    let mut response = Response::empty(204);
    response.head.fields.push(Name::Other, b"Allow", pages::FILE_ALLOW);
    response
}

/// 308 to the same path with a slash. The location is relative to what the client asked for, whatever was stripped
/// or rewritten since; with its `./` it names no other host and no scheme.
fn with_slash(request: &Request<'_>) -> Response<'static> {
    let head = &request.head;
    let mut response = pages::page(308, head, &request.id);
    response.head.fields.push_with(Name::Location, b"Location", |out| {
        out.extend_from_slice(b"./");
        push_safe(last_segment(asked_path(head)), out);
        out.push(b'/');
        // The client's own query too, not what a rewrite made of it.
        if let Some(at) = memchr::memchr(b'?', head.target()) {
            push_safe(&head.target()[at..], out);
        }
    });
    response
}

fn push_safe(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'\\' | b'"' | b'<' | b'>' => push_escape(byte, out),
            byte if byte.is_ascii_graphic() => out.push(byte),
            byte => push_escape(byte, out),
        }
    }
}

/// The path as the client wrote it, neither canonical nor rewritten.
fn asked_path(head: &RequestHead) -> &[u8] {
    let target = head.target();
    let end = memchr::memchr(b'?', target).unwrap_or(target.len());
    let path = &target[..end];
    if head.form != TargetForm::Absolute {
        return path;
    }
    let authority = memchr::memmem::find(path, b"://").map_or(0, |at| at + 3);
    let slash = memchr::memchr(b'/', &path[authority..]).map_or(path.len(), |at| authority + at);
    &path[slash..]
}

/// Whether the path ends in a slash as the client wrote it, or with dots that end in one: where a rewrite has taken
/// that off, a redirect to it would lead here again.
fn asks_for_folder(head: &RequestHead) -> bool {
    matches!(last_segment(asked_path(head)), b"" | b"." | b"..")
}

fn last_segment(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// A browser that goes somewhere says that it takes HTML; scripts, images and tools do not.
fn wants_page(head: &RequestHead) -> bool {
    let mut ranges = head.fields.all(Name::Accept).flat_map(|value| value.split(|byte| *byte == b','));
    ranges.any(|range| {
        let media = range.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        media.eq_ignore_ascii_case(b"text/html")
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Two workers, the clocks of whose caches are half a second apart: once one of them has answered from the new
    /// folder, the other does not answer from the old one.
    #[test]
    fn what_one_worker_saw_of_the_root_all_see() {
        let dir = testkit::temp_dir();
        for release in ["one", "two"] {
            fs::create_dir(dir.join(release)).unwrap();
            fs::write(dir.join(release).join("a.txt"), release.repeat(2)).unwrap();
        }
        let current = dir.join("current");
        symlink("one", &current).unwrap();
        let files = Files::new(FilesOptions { root: current.clone(), ..FilesOptions::default() }, false);
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let size = |now| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let found = tokio::task::LocalSet::new().block_on(&runtime, files.find(b"/a.txt", false, now));
            match &*found.unwrap() {
                Found::File(file) => String::from_utf8(file.plain.file.bytes().unwrap().to_vec()).unwrap(),
                other => panic!("{other:?}"),
            }
        };
        std::thread::scope(|scope| {
            let (ask, asked) = mpsc::channel();
            let (tell, told) = mpsc::channel();
            scope.spawn(move || {
                for now in asked {
                    tell.send(size(now)).unwrap();
                }
            });
            let other = |now| {
                ask.send(now).unwrap();
                told.recv().unwrap()
            };
            assert_eq!((size(at(0)), other(at(500))), ("oneone".to_owned(), "oneone".to_owned()));
            fs::remove_file(&current).unwrap();
            symlink("two", &current).unwrap();
            assert_eq!(other(at(501)), "oneone", "nobody has looked");
            assert_eq!(size(at(1000)), "twotwo");
            assert_eq!(other(at(1001)), "twotwo");
            drop(ask);
        });
    }
}

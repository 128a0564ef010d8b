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
mod ranges;
mod reply;
mod types;
mod visible;
mod walk;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http1::{Method, Name, RequestHead, TargetForm};
use rustix::io::Errno;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use self::found::{Found, FoundFile, Search};
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
        Files { number: NEXT.fetch_add(1, Relaxed), options: Arc::new(options), strips_prefix }
    }

    /// `now` is when the request came; its path is canonical.
    pub async fn answer(&self, request: &Request<'_>, now: Instant) -> Result<Response<'static>, Failure> {
        let head = &request.head;
        match head.method {
            Method::Get | Method::Head => {}
            Method::Options => return Ok(allowed()),
            _ => return Err(Failure::FileMethod),
        }
        let as_folder = self.is_folder(head);
        let outcome = match self.find(head.path(), as_folder, now).await {
            Ok(found) => match &*found {
                Found::File(file) => {
                    let chosen = Chosen::of(file, request);
                    if chosen.form.is_current() {
                        return Ok(chosen.reply(request, &self.options, ""));
                    }
                    return self.answer_anew(request, as_folder, now).await;
                }
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

    /// What was believed is not true any more.
    #[cold]
    async fn answer_anew(
        &self,
        request: &Request<'_>,
        as_folder: bool,
        now: Instant,
    ) -> Result<Response<'static>, Failure> {
        cache::forget(&self.key(request.head.path(), as_folder));
        let found = self.find(request.head.path(), as_folder, now).await?;
        match &*found {
            Found::File(file) => Ok(Chosen::of(file, request).reply(request, &self.options, "")),
            Found::FolderWithoutSlash => Ok(with_slash(request)),
            Found::Folder => Err(Failure::NoFile),
        }
    }

    /// The page of an application that knows the path itself.
    async fn fall_back(
        &self,
        request: &Request<'_>,
        fallback: &str,
        now: Instant,
    ) -> Result<Response<'static>, Failure> {
        let found = self.find(fallback.as_bytes(), false, now).await?;
        match &*found {
            Found::File(file) => Ok(Chosen::of(file, request).reply(request, &self.options, "Accept")),
            Found::Folder | Found::FolderWithoutSlash => Err(Failure::NoFile),
        }
    }

    async fn list(&self, request: &Request<'_>, now: Instant) -> Result<Response<'static>, Failure> {
        let root = self.root(now).await?;
        let name = Below::decode(request.head.path())?;
        let (options, folder) = (self.options.clone(), name.clone());
        let listing = spawn_blocking(move || {
            let search = Search { root: &root, options: &options, patience: Patience::Any };
            listing::read(search, &folder)
        });
        let listing = listing.await.map_err(|_| ENDED)?.map_err(failure_of)?;
        Ok(listing::answer(listing, &name, &request.head))
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
        if let Some(root) = cache::root(self.number, now) {
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
            Ok(root) => Ok(cache::keep_root(self.number, root, now)),
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
        // The prefix alone, as the client wrote it: `/static` or `/static/`, or with dots that end in one.
        slash && (!self.strips_prefix || matches!(last_segment(asked_path(head)), b"" | b"." | b".."))
    }

    /// What would be served, found out without a worker.
    pub fn explain(&self, head: &RequestHead) -> Explained {
        let root = match Root::open(&self.options.root, Patience::Any) {
            Ok(root) => root,
            Err(_) => return Explained::Failure(Failure::FileError("the root cannot be opened")),
        };
        let search = Search { root: &root, options: &self.options, patience: Patience::Any };
        let looked = Below::decode(head.path())
            .and_then(|name| search.look(&name, self.is_folder(head)).map_err(failure_of));
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

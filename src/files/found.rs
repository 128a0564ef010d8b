//! What lies at a name: a file with its encoded forms, or a folder. Looking may take a disk's time, so all of it can
//! be moved to another thread and back.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;

use super::open::{Patience, Root, open};
use super::options::FilesOptions;
use super::path::Below;
use crate::message::StoredFile;
use crate::message::accept_encoding::Coding;
use crate::wire::Stamp;
use crate::wire::file::{Read, read_warm};

/// Files up to this size are kept in memory instead of open.
pub const SMALL: u64 = 16 << 10;

#[derive(Debug, PartialEq)]
pub enum Found {
    File(FoundFile),
    Folder,
    /// A folder, asked for like a file.
    FolderWithoutSlash,
}

#[derive(Debug, PartialEq)]
pub struct FoundFile {
    /// Below the root.
    pub name: Box<[u8]>,
    pub media_type: Box<str>,
    pub plain: Form,
    /// In the order of the options.
    pub encoded: Vec<(Coding, Form)>,
    /// The same codings alone.
    pub codings: Vec<Coding>,
}

/// One file, and what is told of it.
#[derive(Debug)]
pub struct Form {
    pub file: Arc<StoredFile>,
    pub size: u64,
    /// Strong: of inode, size and the time of its last change to the nanosecond. With its quotes.
    pub etag: Box<str>,
    /// Seconds since 1970, and the same as a date; `None` for a time that no field can tell.
    pub modified: Option<(u64, Box<str>)>,
    stamp: Stamp,
}

impl PartialEq for Form {
    /// As far as one can see from outside.
    fn eq(&self, other: &Form) -> bool {
        self.stamp == other.stamp
    }
}

impl Form {
    /// False when the file has changed since: told by its descriptor. One in memory has not.
    pub fn is_current(&self) -> bool {
        let Some(file) = self.file.descriptor() else { return true };
        let Ok(stat) = rustix::fs::fstat(file) else { return false };
        u64::try_from(stat.st_size).is_ok_and(|size| size == self.size)
            && self.stamp.is_modified_at(stat.st_mtime, stat.st_mtime_nsec as i64)
    }

    fn of(file: File, metadata: &Metadata, patience: Patience) -> Result<Form, Errno> {
        let size = metadata.size();
        let stored = if size > SMALL {
            StoredFile::on_disk(file.into())
        } else {
            let bytes = read_whole(&file, size, patience)?;
            // What was told has to be of these bytes.
            let after = file.metadata().map_err(of_io)?;
            if bytes.len() as u64 == size && Stamp::from(&after) == Stamp::from(metadata) {
                StoredFile::in_memory(bytes.into())
            } else {
                StoredFile::on_disk(file.into())
            }
        };
        let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
        let etag = format!("\"{seconds:x}.{nanoseconds:x}-{size:x}-{:x}\"", metadata.ino());
        Ok(Form {
            file: Arc::new(stored),
            size,
            etag: etag.into(),
            modified: date(seconds),
            stamp: Stamp::from(metadata),
        })
    }
}

/// One search, by one set of options.
#[derive(Clone, Copy)]
pub struct Search<'s> {
    pub root: &'s Root,
    pub options: &'s FilesOptions,
    pub patience: Patience,
}

impl Search<'_> {
    /// What is at `name`; `as_folder` when it was asked for with a slash behind it. `EAGAIN` tells who may not wait
    /// that somebody else has to look.
    pub fn look(self, name: &Below, as_folder: bool) -> Result<Found, Errno> {
        if !self.options.visible.shows(name) {
            return Err(Errno::NOENT);
        }
        if as_folder {
            for index in &self.options.index {
                match self.file(&name.join(index.as_bytes())) {
                    Err(Errno::NOENT) => {}
                    found => return found.map(Found::File),
                }
            }
        }
        match self.open(name) {
            Ok((_, metadata)) if metadata.is_dir() && as_folder => Ok(Found::Folder),
            Ok((_, metadata)) if metadata.is_dir() => Ok(Found::FolderWithoutSlash),
            Ok(_) if as_folder => Err(Errno::NOENT),
            Ok((file, metadata)) => self.forms(name, file, &metadata).map(Found::File),
            Err(error) if !as_folder && is_nothing(error) => self.try_others(name).map(Found::File),
            Err(error) => Err(error),
        }
    }

    fn try_others(self, name: &Below) -> Result<FoundFile, Errno> {
        for template in &self.options.try_files {
            let parts: Vec<&[u8]> = template.split("{path}").map(str::as_bytes).collect();
            let filled = parts.join(&[b"/", name.as_bytes()].concat()[..]);
            let filled = filled.strip_prefix(b"/").unwrap_or(&filled).to_vec();
            let Ok(other) = Below::new(filled) else { continue };
            if !self.options.visible.shows(&other) {
                continue;
            }
            match self.file(&other) {
                Err(Errno::NOENT) => {}
                found => return found,
            }
        }
        Err(Errno::NOENT)
    }

    /// A regular file; anything else is not there.
    fn file(self, name: &Below) -> Result<FoundFile, Errno> {
        match self.open(name) {
            Ok((file, metadata)) if metadata.is_file() => self.forms(name, file, &metadata),
            Ok(_) => Err(Errno::NOENT),
            Err(error) if is_nothing(error) => Err(Errno::NOENT),
            Err(error) => Err(error),
        }
    }

    fn forms(self, name: &Below, file: File, metadata: &Metadata) -> Result<FoundFile, Errno> {
        let mut encoded = Vec::new();
        for coding in &self.options.precompressed {
            match self.open(&name.with_extension(extension(*coding))) {
                // An older one is of what the file was before.
                Ok((other, about)) if about.is_file() && mtime(&about) >= mtime(metadata) => {
                    encoded.push((*coding, Form::of(other, &about, self.patience)?));
                }
                Err(Errno::AGAIN) if self.patience == Patience::None => return Err(Errno::AGAIN),
                // Whatever is wrong with it, the file itself can be had.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(FoundFile {
            name: name.as_bytes().into(),
            media_type: self.options.types.of(name.name()).into(),
            plain: Form::of(file, metadata, self.patience)?,
            codings: encoded.iter().map(|(coding, _)| *coding).collect(),
            encoded,
        })
    }

    fn open(self, name: &Below) -> Result<(File, Metadata), Errno> {
        let path: &Path = &self.options.root;
        open((self.root, path), name, self.options.symlinks, self.patience)
    }
}

/// What stands behind the name of a file that is encoded so.
fn extension(coding: Coding) -> &'static [u8] {
    match coding {
        Coding::Brotli => b".br",
        Coding::Zstd => b".zst",
        Coding::Gzip => b".gz",
        // No option names it.
        Coding::Deflate => b".zz",
    }
}

/// Nobody finds anything under the name.
fn is_nothing(error: Errno) -> bool {
    crate::message::failure_of(error) == crate::message::Failure::NoFile
}

fn mtime(metadata: &Metadata) -> (i64, i64) {
    (metadata.mtime(), metadata.mtime_nsec())
}

/// Up to `size` bytes.
fn read_whole(file: &File, size: u64, patience: Patience) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    let mut count = 0;
    while count < bytes.len() {
        let read = match patience {
            Patience::None => read_warm(file.as_fd(), &mut bytes[count..], count as u64)?,
            Patience::Any => Read::Done(rustix::io::pread(file, &mut bytes[count..], count as u64)?),
        };
        match read {
            Read::Cold => return Err(Errno::AGAIN),
            Read::Done(0) => break,
            Read::Done(more) => count += more,
        }
    }
    bytes.truncate(count);
    Ok(bytes)
}

/// A `Last-Modified`. One that lies ahead must not be sent (RFC 9110 section 8.8.2.1), and the years before 1970 and
/// from 10000 on have no date.
fn date(seconds: i64) -> Option<(u64, Box<str>)> {
    let seconds = u64::try_from(seconds).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if seconds > now.min(END_OF_9999) {
        return None;
    }
    Some((seconds, httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds)).into()))
}

const END_OF_9999: u64 = 253_402_300_799;

fn of_io(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

//! What is in a folder, for people and for programs.

mod html;
mod json;
mod order;

use std::borrow::Cow;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use data_encoding::BASE64;
use http1::{Name, RequestHead};
use rustix::fs::{Dir, FileType};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use self::order::Order;
use super::found::Search;
use super::open::open;
use super::path::{Below, push_segment};
use crate::message::path::canonicalise;
use crate::message::{Collected, Failure, Response, pages};

/// Names that are looked at; what a folder has beyond is left out, and the page says so.
const MOST_ENTRIES: usize = 10_000;

#[derive(Debug, Default)]
pub struct Listing {
    entries: Vec<Entry>,
    /// There are more.
    is_cut: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: Vec<u8>,
    is_folder: bool,
    /// Bytes; of a folder they mean nothing.
    size: u64,
    /// Seconds since 1970.
    modified: i64,
}

/// Reads a folder: what a client may see of it and could ask for. May take a disk's time.
pub fn read(search: Search<'_>, name: &Below) -> Result<Listing, Errno> {
    let options = search.options;
    let here = (search.root, options.root.as_path());
    let (folder, _) = open(here, name, options.symlinks, search.patience)?;
    let in_root = name.as_bytes().is_empty();
    let mut listing = Listing::default();
    for found in Dir::read_from(folder.as_fd())? {
        let found = found?;
        let entry = found.file_name().to_bytes();
        let is_name = !matches!(entry, b"." | b"..");
        if !is_name || !options.visible.shows_segment(in_root, entry) || !has_path(entry) {
            continue;
        }
        if listing.entries.len() == MOST_ENTRIES {
            listing.is_cut = true;
            break;
        }
        let about = match found.file_type() {
            FileType::RegularFile | FileType::Directory => about(&folder, entry),
            // A link, or a file system that does not say: it is there when it could be opened.
            FileType::Symlink | FileType::Unknown => {
                open(here, &name.join(entry), options.symlinks, search.patience)
                    .ok()
                    .map(|(_, metadata)| (metadata.is_dir(), metadata.size(), metadata.mtime()))
            }
            _ => None,
        };
        if let Some((is_folder, size, modified)) = about {
            listing.entries.push(Entry { name: entry.to_vec(), is_folder, size, modified });
        }
    }
    Ok(listing)
}

/// Whether it is a folder, its size and time; `None` for one that is gone, or is something else by now.
fn about(folder: impl AsFd, name: &[u8]) -> Option<(bool, u64, i64)> {
    let stat = rustix::fs::statat(folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let is_folder = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => true,
        FileType::RegularFile => false,
        _ => return None,
    };
    Some((is_folder, u64::try_from(stat.st_size).unwrap_or(0), stat.st_mtime))
}

/// How a list is to be written.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    as_json: bool,
    order: Order,
}

impl Wish {
    /// A page, or JSON for whoever names that first in `Accept`.
    pub fn of(head: &RequestHead) -> Wish {
        Wish { as_json: pages::named_first(head) == Some(pages::Form::Json), order: Order::of(head.query()) }
    }
}

impl Listing {
    /// The text of the list of this folder. For a large one that takes a while too.
    pub fn write(mut self, name: &Below, wish: Wish) -> Vec<u8> {
        wish.order.sort(&mut self.entries);
        if wish.as_json { json::text(&self, name) } else { html::page(&self, name, wish.order).into_bytes() }
    }
}

/// The answer with such a text. Names can be long and clients slow, so all texts of a worker have a limit together.
pub fn answer(text: Vec<u8>, wish: Wish) -> Result<Response<'static>, Failure> {
    let content_type: &[u8] = if wish.as_json { b"application/json" } else { b"text/html; charset=utf-8" };
    let mut response = Response::text(200, content_type, Cow::default());
    response.body = Collected::made(text)?.into_body();
    let fields = &mut response.head.fields;
    if !wish.as_json {
        // The names come from whoever may write files: nothing of them can run, load or send anything.
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
            BASE64.encode(&Sha256::digest(html::STYLE))
        );
        fields.push(Name::Other, b"Content-Security-Policy", policy.as_bytes());
    }
    fields.push(Name::CacheControl, b"Cache-Control", b"no-cache");
    fields.push(Name::Other, b"Vary", b"Accept");
    fields.push(Name::Other, b"X-Content-Type-Options", b"nosniff");
    Ok(response)
}

/// Whether a client could ask for it: not when its path would be refused, as one with a backslash is.
fn has_path(name: &[u8]) -> bool {
    let mut path = String::from("/");
    push_segment(name, &mut path);
    canonicalise(path.as_bytes(), &mut Vec::new()).is_ok()
}

/// `2024-11-26 06:09:00`, in UTC; the days by the calendar that repeats every 400 years.
fn date(seconds: i64) -> String {
    let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 1 March of the year 0, so that a leap day is the last of its year.
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year_of_era + era * 400 + next_year;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", time / 3600, time / 60 % 60, time % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_all_times() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (784_111_777, "1994-11-06 08:49:37"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_709_164_800, "2024-02-29 00:00:00"),
            (4_107_542_399, "2100-02-28 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (253_402_300_799, "9999-12-31 23:59:59"),
        ] {
            assert_eq!(date(seconds), text);
        }
        date(i64::MAX);
        date(i64::MIN);
    }
}

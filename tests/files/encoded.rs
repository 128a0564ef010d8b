//! Files that lie there compressed, beside what they are made of.

use std::fs::{self, FileTimes};
use std::time::{Duration, SystemTime};

use crate::stage::{Stage, pattern, write};

fn stage(options: &str) -> Stage {
    Stage::with(options, "", |www| {
        for name in ["a.js", "a.js.br", "a.js.gz", "a.js.zst", "b.js", "b.js.gz", "c.js"] {
            write(www, name, name);
        }
        // Whoever deploys may touch them in any order within a moment.
        for name in ["a.js.br", "a.js.gz", "a.js.zst", "b.js.gz"] {
            touch(&www.join(name), 10);
        }
    })
}

/// Makes a file so many seconds newer than now, or older.
fn touch(path: &std::path::Path, seconds: i64) {
    let now = SystemTime::now();
    let by = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 { now - by } else { now + by };
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

#[test]
fn the_client_gets_the_form_that_it_likes_best() {
    let stage = stage("precompressed = true");
    let plain = stage.get("/a.js");
    assert_eq!((plain.text(), plain.header("Content-Encoding")), ("a.js", None));
    assert_eq!(plain.header("Vary"), Some("Accept-Encoding"));
    let mut tags = vec![plain.header("ETag").unwrap().to_owned()];
    for (accepted, coding, text) in [
        ("gzip", Some("gzip"), "a.js.gz"),
        ("gzip, br", Some("br"), "a.js.br"),
        ("gzip, br;q=0, zstd", Some("zstd"), "a.js.zst"),
        ("gzip;q=1, br;q=0.5", Some("gzip"), "a.js.gz"),
        ("identity", None, "a.js"),
        ("*;q=0", None, "a.js"),
        ("deflate", None, "a.js"),
    ] {
        let answer = stage.ask("/a.js", &[("Accept-Encoding", accepted)]);
        assert_eq!((answer.status, answer.text()), (200, text), "{accepted}");
        assert_eq!(answer.header("Content-Encoding"), coding, "{accepted}");
        assert_eq!(answer.header("Content-Type"), Some("text/javascript; charset=utf-8"), "{accepted}");
        assert_eq!(answer.header("Vary"), Some("Accept-Encoding"), "{accepted}");
        tags.push(answer.header("ETag").unwrap().to_owned());
        let again =
            stage.ask("/a.js", &[("Accept-Encoding", accepted), ("If-None-Match", &tags[tags.len() - 1])]);
        assert_eq!((again.status, again.header("Vary")), (304, Some("Accept-Encoding")), "{accepted}");
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4, "each form has its own");
    let part = stage.ask("/a.js", &[("Accept-Encoding", "br"), ("Range", "bytes=5-")]);
    assert_eq!((part.status, part.text()), (206, "br"), "a part of the encoded form");
    assert_eq!(part.header("Content-Range"), Some("bytes 5-6/7"));
    assert_eq!(part.header("Content-Encoding"), Some("br"));
    assert_eq!(stage.ask("/b.js", &[("Accept-Encoding", "br, gzip;q=0.1")]).text(), "b.js.gz");
    assert_eq!(stage.ask("/c.js", &[("Accept-Encoding", "br")]).header("Vary"), None);
    // Asked for by its own name it is a file like any other.
    let itself = stage.ask("/a.js.gz", &[("Accept-Encoding", "gzip")]);
    assert_eq!(itself.header("Content-Encoding"), None);
    assert_eq!(itself.header("Content-Type"), Some("application/gzip"));
}

#[test]
fn only_what_is_set_and_not_older_is_used() {
    let some = stage("precompressed = [\"gzip\"]");
    assert_eq!(some.ask("/a.js", &[("Accept-Encoding", "br, gzip")]).text(), "a.js.gz");
    let none = stage("");
    assert_eq!(none.ask("/a.js", &[("Accept-Encoding", "br, gzip")]).text(), "a.js");
    let stale = stage("precompressed = true");
    touch(&stale.www().join("a.js.br"), -60);
    assert_eq!(stale.ask("/a.js", &[("Accept-Encoding", "br, gzip")]).text(), "a.js.gz");
}

#[test]
fn large_ones_are_sent_whole() {
    let stage = Stage::with("precompressed = true", "", |www| {
        write(www, "a.js", "small");
        write(www, "a.js.zst", pattern(2_000_000));
    });
    let answer = stage.ask("/a.js", &[("Accept-Encoding", "zstd")]);
    assert!(answer.body == pattern(2_000_000));
}

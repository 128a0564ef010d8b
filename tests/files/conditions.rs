//! Conditional requests, as a browser or a cache makes them.

use std::fs::{self, FileTimes};
use std::time::{Duration, UNIX_EPOCH};

use crate::stage::Stage;

const MODIFIED: u64 = 784_111_777;
const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

#[test]
fn conditions_are_answered_in_the_order_of_the_rules() {
    let stage = Stage::new("cache_control = \"no-cache\"", &[("a.txt", "hello")]);
    let file = fs::File::options().write(true).open(stage.www().join("a.txt")).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(MODIFIED);
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
    let mut client = stage.client();
    let whole = client.get("/a.txt");
    assert_eq!(whole.header("Last-Modified"), Some(SAME));
    let etag = whole.header("ETag").unwrap();
    let weak = format!("W/{etag}");
    let list = format!("\"x\", {etag}");
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[("If-None-Match", etag)], 304),
        (&[("If-None-Match", &weak)], 304),
        (&[("If-None-Match", &list)], 304),
        (&[("If-None-Match", "*")], 304),
        (&[("If-None-Match", "\"x\"")], 200),
        (&[("If-Modified-Since", SAME)], 304),
        (&[("If-Modified-Since", AFTER)], 304),
        (&[("If-Modified-Since", BEFORE)], 200),
        (&[("If-None-Match", "\"x\""), ("If-Modified-Since", AFTER)], 200),
        (&[("If-Match", etag)], 200),
        (&[("If-Match", &weak)], 412),
        (&[("If-Match", "\"x\"")], 412),
        (&[("If-Unmodified-Since", SAME)], 200),
        (&[("If-Unmodified-Since", BEFORE)], 412),
        (&[("If-Match", etag), ("If-Unmodified-Since", BEFORE)], 200),
        (&[("If-Match", etag), ("If-None-Match", etag)], 304),
        (&[("If-Match", "\"x\""), ("If-None-Match", etag)], 412),
        (&[("Range", "bytes=0-0")], 206),
        (&[("Range", "bytes=0-0"), ("If-Range", etag)], 206),
        (&[("Range", "bytes=0-0"), ("If-Range", SAME)], 206),
        (&[("Range", "bytes=0-0"), ("If-Range", &weak)], 200),
        (&[("Range", "bytes=0-0"), ("If-Range", "\"x\"")], 200),
        (&[("Range", "bytes=0-0"), ("If-Range", AFTER)], 200),
        (&[("Range", "bytes=0-0"), ("If-None-Match", etag)], 304),
        (&[("Range", "bytes=9-"), ("If-Match", "\"x\"")], 412),
        (&[("Range", "bytes=9-")], 416),
    ];
    for (fields, status) in cases {
        let answer = client.request("GET", "/a.txt", fields, b"");
        assert_eq!(answer.status, *status, "{fields:?}");
        match status {
            200 => assert_eq!(answer.text(), "hello"),
            206 => assert_eq!(answer.text(), "h"),
            304 => {
                assert_eq!(answer.header("ETag"), Some(etag));
                assert_eq!(answer.header("Cache-Control"), Some("no-cache"));
                assert_eq!(answer.header("Content-Type"), None);
                assert_eq!(answer.text(), "");
            }
            _ => {}
        }
        // Of a HEAD the same holds, without ranges.
        let told = client.request("HEAD", "/a.txt", fields, b"");
        assert_eq!(told.status, if matches!(status, 206 | 416) { 200 } else { *status }, "HEAD {fields:?}");
    }
}

/// Whatever a file's time is, it is served, and tells none that a client could not take.
#[test]
fn odd_times_are_not_told() {
    let stage = Stage::new("", &[("old", "x"), ("new", "x"), ("zero", "x")]);
    let before = UNIX_EPOCH - Duration::from_secs(5);
    let far = UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    for (name, time, told) in [("old", before, false), ("new", far, false), ("zero", UNIX_EPOCH, true)] {
        let file = fs::File::options().write(true).open(stage.www().join(name)).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
        let answer = stage.get(&format!("/{name}"));
        assert_eq!((answer.status, answer.header("Last-Modified").is_some()), (200, told), "{name}");
        assert!(answer.header("ETag").is_some());
    }
}

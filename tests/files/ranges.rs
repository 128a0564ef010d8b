//! Parts of files.

use testkit::Response;

use crate::stage::{Stage, pattern, write};

/// Small enough to be kept in memory, and large enough not to be.
const SIZES: [usize; 2] = [1000, 300_000];

fn stage() -> Stage {
    Stage::with("", "", |www| {
        for size in SIZES {
            write(www, &format!("{size}.bin"), pattern(size));
        }
        write(www, "empty", "");
    })
}

#[test]
fn one_range_is_that_part() {
    let stage = stage();
    let mut client = stage.client();
    for size in SIZES {
        let all = pattern(size);
        let end = size - 1;
        for (range, first, last) in [
            ("bytes=0-0".to_owned(), 0, 0),
            ("bytes=0-".to_owned(), 0, end),
            ("bytes=10-99".to_owned(), 10, 99),
            ("bytes=-7".to_owned(), size - 7, end),
            (format!("bytes={end}-{size}"), end, end),
            (format!("bytes=5-5,{size}-"), 5, 5),
        ] {
            let answer = client.request("GET", &format!("/{size}.bin"), &[("Range", &range)], b"");
            assert_eq!(answer.status, 206, "{range}");
            assert!(answer.body == all[first..=last], "{range} of {size}");
            let told = format!("bytes {first}-{last}/{size}");
            assert_eq!(answer.header("Content-Range"), Some(&*told), "{range}");
            assert_eq!(answer.header("Content-Type"), Some("application/octet-stream"));
        }
    }
}

#[test]
fn several_ranges_are_parts_of_one_answer() {
    let stage = stage();
    let mut client = stage.client();
    for size in SIZES {
        let all = pattern(size);
        for ranges in [
            vec![(0, 0), (2, 3)],
            vec![(0, size - 1), (0, size - 1)],
            vec![(500, 600), (0, 10), (size - 1, size - 1)],
            (0..8).map(|at| (at * 10, at * 10 + 5)).collect(),
        ] {
            let members: Vec<String> = ranges.iter().map(|(first, last)| format!("{first}-{last}")).collect();
            let range = format!("bytes={}", members.join(","));
            let answer = client.request("GET", &format!("/{size}.bin"), &[("Range", &range)], b"");
            assert_eq!(answer.status, 206, "{range}");
            assert_eq!(answer.header("Content-Range"), None);
            let parts = parts(&answer);
            assert_eq!(parts.len(), ranges.len(), "{range}");
            for ((head, body), (first, last)) in parts.iter().zip(ranges) {
                assert!(head.contains(&format!("Content-Range: bytes {first}-{last}/{size}\r\n")), "{head}");
                assert!(head.contains("Content-Type: application/octet-stream\r\n"), "{head}");
                assert!(*body == all[first..=last], "{range}");
            }
        }
    }
}

/// The heads and bodies of a multipart answer, read with the rule of RFC 2046 alone.
fn parts(answer: &Response) -> Vec<(String, Vec<u8>)> {
    let media_type = answer.header("Content-Type").unwrap();
    let boundary = media_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let body = [b"\r\n", &answer.body[..]].concat();
    let mut parts = Vec::new();
    let mut rest = &body[..];
    let find = |text: &[u8], what: &[u8]| text.windows(what.len()).position(|window| window == what);
    assert_eq!(find(rest, &delimiter), Some(0));
    loop {
        rest = &rest[delimiter.len()..];
        if rest == b"--\r\n" {
            return parts;
        }
        let end = find(rest, &delimiter).expect("another boundary");
        let part = rest[..end].strip_prefix(b"\r\n").unwrap();
        let cut = find(part, b"\r\n\r\n").unwrap() + 4;
        parts.push((String::from_utf8(part[..cut].to_vec()).unwrap(), part[cut..].to_vec()));
        rest = &rest[end..];
    }
}

#[test]
fn what_cannot_be_had_is_told_and_what_is_no_range_is_nothing() {
    let stage = stage();
    let mut client = stage.client();
    let many = format!("bytes={}", "0-,".repeat(1000));
    for (target, range, status, told) in [
        ("/1000.bin", "bytes=1000-", 416, Some("bytes */1000")),
        ("/1000.bin", "bytes=-0", 416, Some("bytes */1000")),
        ("/1000.bin", "bytes=2000-3000,5000-", 416, Some("bytes */1000")),
        ("/300000.bin", "bytes=300000-", 416, Some("bytes */300000")),
        ("/empty", "bytes=0-", 416, Some("bytes */0")),
        ("/empty", "bytes=-1", 200, None),
        ("/1000.bin", "bytes=3-2", 200, None),
        ("/1000.bin", "lines=1-2", 200, None),
        ("/1000.bin", "bytes=x", 200, None),
        // The answer is never larger than the file, or twice as large: the attack is in its size.
        ("/1000.bin", "bytes=0-,0-,0-", 200, None),
        ("/1000.bin", "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16", 200, None),
        ("/1000.bin", &many, 200, None),
    ] {
        let answer = client.request("GET", target, &[("Range", range)], b"");
        assert_eq!(answer.status, status, "{range}");
        assert_eq!(answer.header("Content-Range"), told, "{range}");
        if status == 200 {
            let size = answer.header("Content-Length").unwrap();
            assert!(target.contains(size) || size == "0", "{range}: {size}");
        }
    }
}

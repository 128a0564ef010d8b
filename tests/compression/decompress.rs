//! Answers that are coded already, for clients that do not take that.

use testkit::{H2Failure, RecordedRequest, Script};

use crate::stage::{ENCODINGS, Stage, chunk, chunked_head, decoded, encoded, json};

const HTML: (&str, &str) = ("Content-Type", "text/html");

/// `/CODING/WHAT`.
fn coded(request: &RecordedRequest, _: usize) -> Script {
    let mut parts = request.target.split('/').skip(1);
    let (coding, what) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let fields = [HTML, ("Content-Encoding", coding), ("ETag", "\"v1\""), ("Repr-Digest", "x")];
    let bytes = match what {
        "bomb" => encoded(coding, &vec![0; 64 << 20]),
        "odd" => json(1000),
        _ => encoded(coding, &json(200_000)),
    };
    match what {
        "truncated" => Script::answer_with(200, &fields, &bytes[..bytes.len() - 5]),
        "corrupt" => {
            let mut bytes = bytes;
            let half = bytes.len() / 2;
            bytes[half..half + 20].fill(0xff);
            Script::answer_with(200, &fields, bytes)
        }
        "chunks" => {
            let script = bytes.chunks(777).fold(chunked_head(&fields), |script, data| script.send(chunk(data)));
            script.send("0\r\n\r\n")
        }
        "part" => Script::new().send(
            [
                format!("HTTP/1.1 206 Partial Content\r\nContent-Encoding: {coding}\r\nContent-Range: bytes 0-9/99\r\nContent-Length: 10\r\n\r\n").as_bytes(),
                &bytes[..10],
            ]
            .concat(),
        ),
        "fixed" => Script::answer_with(200, &[&fields[..], &[("Cache-Control", "no-transform")]].concat(), bytes),
        _ if request.method == "HEAD" => Script::new().send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
            bytes.len()
        )),
        _ => Script::answer_with(200, &fields, bytes),
    }
}

const CODINGS: [&str; 4] = ["zstd", "br", "gzip", "deflate"];

#[test]
fn who_does_not_take_it_gets_it_plain() {
    let stage = Stage::new(coded, "decompress = true");
    let (mut client, mut http2) = (stage.client(), stage.http2());
    for coding in CODINGS {
        for what in ["length", "chunks"] {
            let path = format!("/{coding}/{what}");
            let response = client.get(&path);
            assert_eq!(response.header("Content-Encoding"), None, "{path}");
            assert_eq!(response.headers.all("Vary"), ["Accept-Encoding"], "{path}");
            assert_eq!((response.header("ETag"), response.header("Repr-Digest")), (Some("W/\"v1\""), None));
            assert!(response.body == json(200_000), "{path}: {} bytes", response.body.len());
            assert!(http2.get(&path).body == json(200_000), "{path}");

            let response = client.request("GET", &path, &[("Accept-Encoding", &format!("x, {coding}"))], b"");
            assert_eq!(response.header("Content-Encoding"), Some(coding), "{path}");
            assert_eq!(
                (response.header("ETag"), response.header("Repr-Digest")),
                (Some("\"v1\""), Some("x"))
            );
            assert_eq!(response.headers.all("Vary"), ["Accept-Encoding"], "{path}");
        }
        let head = client.request("HEAD", &format!("/{coding}/length"), &[], b"");
        assert_eq!(
            (head.header("Content-Encoding"), head.header("Content-Length")),
            (None, None),
            "{coding}"
        );
    }
    let metrics = stage.palisade.metrics();
    assert_eq!(metrics.sum("decompressed_responses_total", &["encoding=\"br\""]), 4.0);
}

#[test]
fn what_is_not_understood_or_not_ours_to_change_stays() {
    let stage = Stage::new(coded, "decompress = true");
    let mut client = stage.client();
    for (path, coding) in [
        ("/compress/odd", "compress"),
        ("/gzip, gzip/odd", "gzip, gzip"),
        ("/gzip/part", "gzip"),
        ("/gzip/fixed", "gzip"),
    ] {
        let path = path.replace(' ', "%20");
        let response = client.get(&path);
        assert_eq!(
            response.header("Content-Encoding").map(|got| got.replace("%20", " ")).as_deref(),
            Some(coding),
            "{path}"
        );
    }
}

/// One that the client does not take becomes one that it takes.
#[test]
fn with_both_it_is_coded_anew() {
    let stage = Stage::new(coded, "compress = true\ndecompress = true");
    let mut client = stage.client();
    for from in CODINGS {
        for to in ENCODINGS {
            let path = format!("/{from}/length");
            let response = client.request("GET", &path, &[("Accept-Encoding", to)], b"");
            assert_eq!(response.header("Content-Encoding"), Some(to), "{from} to {to}");
            assert_eq!(response.headers.all("Vary"), ["Accept-Encoding"]);
            assert_eq!(decoded(to, &response.body), Ok(json(200_000)), "{from} to {to}");
        }
    }
}

/// A body that is not what it says is broken off; a bomb is long before it went off.
#[test]
fn what_is_wrong_has_no_clean_end() {
    let stage = Stage::new(coded, "decompress = true");
    for coding in ["zstd", "br", "gzip"] {
        for what in ["truncated", "corrupt", "bomb"] {
            let path = format!("/{coding}/{what}");
            if (coding, what) == ("br", "corrupt") || (coding, what) == ("zstd", "corrupt") {
                // Without a checksum a changed byte may still be a sound stream.
                continue;
            }
            let mut client = stage.client();
            client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let bytes = client.read_to_end();
            assert!(bytes.starts_with(b"HTTP/1.1 200"), "{path}");
            assert!(!bytes.ends_with(b"0\r\n\r\n"), "{path}");
            assert!(bytes.len() < 9 << 20, "{path}: {} bytes", bytes.len());

            let mut client = stage.http2();
            let stream = client.open("GET", &path, &[], true);
            assert_eq!(client.outcome(stream).err(), Some(H2Failure::Reset(2)), "{path}");
        }
    }
    for detail in ["truncated", "corrupt", "too_much_from_too_little"] {
        stage.expect_reason(detail);
    }
    let mut client = stage.client();
    assert!(client.get("/gzip/length").body == json(200_000), "and the proxy goes on");
}

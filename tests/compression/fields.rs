//! What the fields of an answer say when its body became another one, and which answers stay as they are.

use testkit::{RecordedRequest, Response, Script};

use crate::stage::{Stage, chunked, decoded, json};

const GZIP: (&str, &str) = ("Accept-Encoding", "gzip");

/// Answers by path, with the fields of a static file.
fn files(request: &RecordedRequest, _: usize) -> Script {
    let path = request.target.trim_start_matches("/plain");
    let body = json(5000);
    let html = [("Content-Type", "text/html"), ("ETag", "\"v1\""), ("Accept-Ranges", "bytes")];
    let with = |more: &[(&str, &str)]| Script::answer_with(200, &[&html[..], more].concat(), &body);
    match path {
        "/page" => match request.header("If-None-Match") {
            Some(known) if known.contains("\"v1\"") => {
                Script::new().send("HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\nVary: Origin\r\n\r\n")
            }
            _ if request.method == "HEAD" => Script::new().send(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: \"v1\"\r\nContent-Length: 5000\r\n\r\n",
            ),
            _ => with(&[("Vary", "Origin"), ("Content-MD5", "x"), ("Digest", "x"), ("Repr-Digest", "x")]),
        },
        "/no-transform" => with(&[("Cache-Control", "public, no-transform")]),
        "/coded" => with(&[("Content-Encoding", "br")]),
        "/identity" => with(&[("Content-Encoding", "identity")]),
        "/image" => Script::answer_with(200, &[("Content-Type", "image/png")], &body),
        "/small" => Script::answer_with(200, &html, &body[..1023]),
        "/small-unknown" => chunked(&[("Content-Type", "text/html")], &[&b"short "[..]]),
        "/missing" => Script::answer_with(404, &html, &body),
        "/no-content" => Script::new().send("HTTP/1.1 204 No Content\r\nContent-Type: text/html\r\n\r\n"),
        "/empty" => Script::answer_with(200, &html, b""),
        "/grpc" => Script::answer_with(200, &[("Content-Type", "application/grpc-web+json")], &body),
        "/part" if request.header("Range").is_some() => Script::new().send(
            [
                &b"HTTP/1.1 206 Partial Content\r\nContent-Type: text/html\r\nETag: \"v1\"\r\n\
                 Content-Range: bytes 0-1999/5000\r\nContent-Length: 2000\r\n\r\n"[..],
                &body[..2000],
            ]
            .concat(),
        ),
        _ => with(&[]),
    }
}

fn said<'r>(response: &'r Response, name: &str) -> Vec<&'r str> {
    response.headers.all(name)
}

#[test]
fn a_compressed_answer_is_another_representation() {
    let stage = Stage::new(files, "compress = true");
    let mut client = stage.client();
    let response = client.request("GET", "/page", &[GZIP], b"");
    assert_eq!(said(&response, "Content-Encoding"), ["gzip"]);
    assert_eq!(said(&response, "Vary"), ["Origin, Accept-Encoding"]);
    assert_eq!(said(&response, "ETag"), ["W/\"v1\""]);
    assert_eq!(said(&response, "Content-Length"), [response.body.len().to_string()]);
    for gone in ["Accept-Ranges", "Content-MD5", "Digest", "Repr-Digest"] {
        assert!(said(&response, gone).is_empty(), "{gone}");
    }
    assert_eq!(decoded("gzip", &response.body), Ok(json(5000)));

    // Who does not take it gets all as the origin said, and caches hear that it depends.
    let plain = client.get("/page");
    assert_eq!((said(&plain, "ETag"), said(&plain, "Accept-Ranges")), (vec!["\"v1\""], vec!["bytes"]));
    assert_eq!(
        (said(&plain, "Vary"), said(&plain, "Repr-Digest")),
        (vec!["Origin, Accept-Encoding"], vec!["x"])
    );
    assert_eq!(plain.body, json(5000));
}

#[test]
fn a_head_has_the_fields_of_a_get() {
    let stage = Stage::new(files, "compress = true");
    let mut client = stage.client();
    for path in ["/page", "/fixed"] {
        let (head, get) =
            (client.request("HEAD", path, &[GZIP], b""), client.request("GET", path, &[GZIP], b""));
        for name in ["Content-Encoding", "Vary", "ETag", "Content-Type"] {
            let wanted: Vec<_> = said(&get, name).iter().map(|value| value.replace("Origin, ", "")).collect();
            assert_eq!(said(&head, name), wanted, "{path} {name}");
        }
        assert_eq!(said(&head, "Content-Encoding"), ["gzip"], "{path}");
        assert_eq!(said(&head, "Content-Length"), [""; 0], "not the length of something else");
    }
    let head = client.request("HEAD", "/page", &[], b"");
    assert_eq!(said(&head, "Content-Length"), ["5000"]);
    let response = stage.http2().request("HEAD", "/page", &[("accept-encoding", "gzip")], b"");
    assert_eq!(
        (response.header("content-encoding"), response.header("content-length")),
        (Some("gzip"), None)
    );
}

#[test]
fn a_client_that_has_it_hears_so() {
    let stage = Stage::new(files, "compress = true");
    let mut client = stage.client();
    let first = client.request("GET", "/page", &[GZIP], b"");
    let tag = first.header("ETag").unwrap().to_owned();
    let again = client.request("GET", "/page", &[GZIP, ("If-None-Match", &tag)], b"");
    assert_eq!((again.status, said(&again, "ETag")), (304, vec!["W/\"v1\""]));
    assert_eq!(said(&again, "Vary"), ["Origin, Accept-Encoding"]);
    assert!(said(&again, "Content-Encoding").is_empty() && again.body.is_empty());
    let asked = stage.origin.requests().pop().unwrap();
    assert_eq!(asked.header("If-None-Match"), Some("W/\"v1\""), "the tag goes on as it is");
    // Who has the plain one is told of the plain one.
    let plain = client.request("GET", "/page", &[GZIP, ("If-None-Match", "\"v1\"")], b"");
    assert_eq!((plain.status, said(&plain, "ETag")), (304, vec!["\"v1\""]));
}

#[test]
fn what_stays_as_it_is() {
    let stage = Stage::new(files, "compress = true");
    let mut client = stage.client();
    let depends = vec!["Accept-Encoding"];
    let nothing = Vec::new();
    for (path, fields, encoding, vary) in [
        ("/no-transform", vec![GZIP], None, &nothing),
        ("/x", vec![GZIP, ("Cache-Control", "no-transform")], None, &depends),
        ("/coded", vec![GZIP], Some("br"), &nothing),
        ("/image", vec![GZIP], None, &nothing),
        ("/small", vec![GZIP], None, &nothing),
        ("/empty", vec![GZIP], None, &nothing),
        ("/no-content", vec![GZIP], None, &nothing),
        ("/grpc", vec![GZIP], None, &nothing),
        ("/part", vec![GZIP, ("Range", "bytes=0-1999")], None, &depends),
        ("/plain/x", vec![GZIP], None, &nothing),
        // And what does not.
        ("/identity", vec![GZIP], Some("gzip"), &depends),
        ("/missing", vec![GZIP], Some("gzip"), &depends),
        ("/small-unknown", vec![GZIP], Some("gzip"), &depends),
        ("/fixed", vec![GZIP], Some("gzip"), &depends),
        ("/x", vec![GZIP, ("Range", "bytes=0-1999")], Some("gzip"), &depends),
    ] {
        let response = client.request("GET", path, &fields, b"");
        assert_eq!(response.header("Content-Encoding"), encoding, "{path} {fields:?}");
        assert_eq!(said(&response, "Vary"), *vary, "{path} {fields:?}");
        if encoding == Some("gzip") {
            assert!(decoded("gzip", &response.body).is_ok(), "{path}");
        } else if path == "/part" {
            assert_eq!((response.status, response.body.len()), (206, 2000));
            assert_eq!(
                (said(&response, "ETag"), said(&response, "Content-Range")),
                (vec!["\"v1\""], vec!["bytes 0-1999/5000"])
            );
        }
    }
}

/// An old client gets a body that ends with the connection.
#[test]
fn an_old_client_gets_it_until_the_end() {
    let body = json(300_000);
    let stage = Stage::new(
        move |_, _| Script::answer_with(200, &[("Content-Type", "text/html")], &body),
        "compress = true",
    );
    let mut client = stage.client();
    client.send("GET / HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    let bytes = client.read_to_end();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert!(String::from_utf8_lossy(&bytes[..end]).contains("Content-Encoding: gzip\r\n"));
    assert!(decoded("gzip", &bytes[end..]) == Ok(json(300_000)));
}

//! Which encoding a client gets, by the lines of negotiation.txt.

use testkit::Script;

use crate::stage::{Stage, decoded, json};

const CORPUS: &str = include_str!("negotiation.txt");

fn cases() -> Vec<(Vec<(&'static str, &'static str)>, &'static str)> {
    let lines = CORPUS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let case = |line: &'static str| {
        let (sent, wanted) = line.rsplit_once(" -> ").expect("an arrow");
        let fields = match sent {
            "-" => Vec::new(),
            sent => sent.split(" |").map(|value| ("Accept-Encoding", value.trim_start())).collect(),
        };
        (fields, wanted)
    };
    lines.map(case).collect()
}

#[test]
fn each_client_gets_what_it_takes() {
    let body = json(20_000);
    let answer = Script::answer_with(200, &[("Content-Type", "application/json")], &body);
    let stage = Stage::new(move |_, _| answer.clone(), "compress = true");
    let (mut http1, mut http2) = (stage.client(), stage.http2());
    assert!(cases().len() > 30);
    for (fields, wanted) in cases() {
        let response = http1.request("GET", "/", &fields, b"");
        let lower: Vec<_> = fields.iter().map(|(_, value)| ("accept-encoding", *value)).collect();
        let over2 = http2.request("GET", "/", &lower, b"");
        for (encoding, vary, got) in [
            (response.header("Content-Encoding"), response.header("Vary"), &response.body),
            (over2.header("content-encoding"), over2.header("vary"), &over2.body),
        ] {
            assert_eq!(encoding.unwrap_or("identity"), wanted, "{fields:?}");
            assert_eq!(vary, Some("Accept-Encoding"), "{fields:?}");
            if wanted == "identity" {
                assert!(*got == body, "{fields:?}");
            } else {
                assert!(
                    decoded(wanted, got).as_ref() == Ok(&body) && got.len() * 2 < body.len(),
                    "{fields:?}"
                );
            }
        }
    }
    // The origin sees what the client said.
    let sent = stage
        .origin
        .requests()
        .iter()
        .filter(|request| request.header("Accept-Encoding") == Some("br"))
        .count();
    assert_eq!(sent, 2);
    let metrics = stage.palisade.metrics();
    let gzip = cases().iter().filter(|(_, wanted)| *wanted == "gzip").count() as f64;
    assert_eq!(metrics.sum("compressed_responses_total", &["encoding=\"gzip\""]), 2.0 * gzip);
    let [taken, made] = ["compression_in_bytes_total", "compression_out_bytes_total"]
        .map(|name| metrics.sum(name, &["encoding=\"gzip\""]));
    assert_eq!(taken, 2.0 * gzip * body.len() as f64);
    assert!(made > 0.0 && made * 2.0 < taken, "{made} of {taken}");
}

#[test]
fn the_order_is_the_servers_and_the_origin_need_not_know() {
    let answer = Script::answer_with(200, &[("Content-Type", "text/x-own")], json(5000));
    let options = r#"compress = { encodings = ["gzip", "zstd"], types = ["text/*"], at_origin = false, min_size = 5000, levels = { gzip = 9 } }"#;
    let stage = Stage::new(move |_, _| answer.clone(), options);
    let mut client = stage.client();
    for (accepts, wanted) in [("zstd, br, gzip", Some("gzip")), ("zstd", Some("zstd")), ("br", None)] {
        let response = client.request("GET", "/", &[("Accept-Encoding", accepts)], b"");
        assert_eq!(response.header("Content-Encoding"), wanted, "{accepts}");
    }
    assert!(stage.origin.requests().iter().all(|request| request.header("Accept-Encoding").is_none()));
    // Not of its types, and not of this route.
    let fixed = client.request("GET", "/plain", &[("Accept-Encoding", "gzip")], b"");
    assert_eq!((fixed.header("Content-Encoding"), fixed.header("Vary")), (None, None));
    let asked = stage.origin.requests().pop().unwrap();
    assert_eq!(asked.header("Accept-Encoding"), Some("gzip"));
}

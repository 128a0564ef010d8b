//! Compression when time or memory is short.

use std::time::Duration;

use testkit::{SOON, Script, poll_until};

use crate::stage::{Stage, chunk, chunked_head, decoded, json};

const GZIP: [(&str, &str); 1] = [("Accept-Encoding", "gzip")];

/// Streams that stay open hold their encoders; what finds no room is sent as it is, and counted.
#[test]
fn streams_have_a_limit_and_the_others_are_served_all_the_same() {
    let stage = Stage::with_server(
        |request, _| match request.target.as_str() {
            "/open" => {
                let head = chunked_head(&[("Content-Type", "text/event-stream")]);
                let event =
                    |script: Script| script.send(chunk(b"data: 1\n\n")).pause(Duration::from_millis(50));
                (0..400).fold(head, |script, _| event(script))
            }
            _ => Script::answer_with(200, &[("Content-Type", "text/html")], json(5000)),
        },
        "compress = true",
        "compression_guard = false\ncompression_memory = \"8MiB\"",
    );
    let mut open = Vec::new();
    let mut compressed = 0;
    // An encoder of gzip is counted with 400 KiB, and so 20 of them find room.
    for _ in 0..25 {
        let mut client = stage.client();
        client.send("GET /open HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
        let head = read_head(&mut client);
        compressed += usize::from(head.contains("Content-Encoding: gzip"));
        open.push(client);
    }
    assert_eq!(compressed, 20);
    let response = stage.client().request("GET", "/", &GZIP, b"");
    assert_eq!(
        (response.header("Content-Encoding"), response.header("Vary")),
        (None, Some("Accept-Encoding"))
    );
    assert_eq!(response.body, json(5000));
    assert_eq!(stage.palisade.metrics().sum("compression_skipped_total", &["reason=\"memory\""]), 6.0);

    // When their clients leave there is room again.
    drop(open);
    poll_until(SOON, "room for an encoder", || {
        let response = stage.client().request("GET", "/", &GZIP, b"");
        response.header("Content-Encoding") == Some("gzip")
    });
}

fn read_head(client: &mut testkit::Client) -> String {
    use std::io::Read;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(client.stream().read(&mut byte).expect("an answer"), 1);
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Under load the levels go down to the fastest, then to nothing, and come back; all of it can be seen.
#[test]
fn a_busy_worker_compresses_less_and_says_so() {
    let body = json(200_000);
    let stage = Stage::with_server(
        move |_, _| Script::answer_with(200, &[("Content-Type", "text/html")], &body),
        "compress = { encodings = [\"br\"], levels = { br = 9 } }",
        "",
    );
    let effort = || stage.palisade.metrics().sum("compression_level", &[]);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = stage.client();
                client.set_deadline(Duration::from_secs(60));
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let response = client.request("GET", "/", &[("Accept-Encoding", "br")], b"");
                    if response.header("Content-Encoding").is_some() {
                        assert!(decoded("br", &response.body) == Ok(json(200_000)));
                    } else {
                        assert!(response.body == json(200_000));
                    }
                }
            });
        }
        poll_until(Duration::from_secs(60), "an answer that is not compressed", || {
            stage.palisade.metrics().sum("compression_skipped_total", &["reason=\"overload\""]) > 0.0
        });
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    stage.palisade.wait_stderr("% busy: ", SOON);
    // Without load it is back soon, step by step. On a machine with other work it may be busy once more.
    poll_until(Duration::from_secs(60), "full levels", || {
        let response = stage.client().request("GET", "/", &[("Accept-Encoding", "br")], b"");
        response.header("Content-Encoding") == Some("br") && effort() == 2.0
    });
}

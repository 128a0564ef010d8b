//! Bodies that come slowly, or not to their end.

use std::time::Duration;

use testkit::{H2Failure, SOON, Script};

use crate::stage::{ENCODINGS, Stage, chunk, chunked_head, decoded, json};

const EVENTS: [(&str, &str); 1] = [("Content-Type", "text/event-stream")];

fn event(number: usize) -> String {
    format!("id: {number}\ndata: {{\"number\": {number}}}\n\n")
}

/// The origin sends the next event only when the test has seen the one before.
#[test]
fn each_event_arrives_before_the_next_one_is_sent() {
    use std::io::Write;
    use std::sync::mpsc;
    let (tick, ticks) = mpsc::channel::<()>();
    let ticks = std::sync::Mutex::new(ticks);
    let origin = testkit::Origin::raw(move |mut connection, _| {
        let ticks = ticks.lock().unwrap();
        while matches!(connection.read_request(), Ok(Some(_))) {
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            connection.write_all(head.as_bytes()).unwrap();
            for number in 0..20 {
                connection.write_all(&chunk(event(number).as_bytes())).unwrap();
                if ticks.recv_timeout(SOON).is_err() {
                    return;
                }
            }
            connection.write_all(b"0\r\n\r\n").unwrap();
        }
    });
    let config = format!(
        r#"
        listeners.http = {{ address = "127.0.0.1:0", http2 = true }}
        upstreams.origin.endpoints = ["{}"]
        routes.all = {{ upstream = "origin", compress = true }}
        server.compression_guard = false
        "#,
        origin.address()
    );
    let palisade = testkit::Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config);
    let mut client = palisade.client();
    for encoding in ENCODINGS {
        client.send(format!("GET /events HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {encoding}\r\n\r\n"));
        let mut stream = Events::new(encoding);
        for number in 0..20 {
            stream.wait_for(&mut client, &event(number));
            tick.send(()).unwrap();
        }
        let all: String = (0..20).map(event).collect();
        assert_eq!(stream.wait_for_end(&mut client), Ok(all.into_bytes()), "{encoding}");
    }

    let mut client = testkit::H2Client::connect(palisade.listener("http"));
    for encoding in ENCODINGS {
        let stream = client.open("GET", "/events", &[("accept-encoding", encoding)], true);
        let mut body = Vec::new();
        for number in 0..20 {
            let wanted = event(number);
            while !decoded(encoding, &body).unwrap_or_else(|part| part).ends_with(wanted.as_bytes()) {
                let frame = client.frame().expect("a connection that lives");
                if frame.kind == 0 && frame.stream == stream {
                    body.extend_from_slice(&frame.payload);
                }
            }
            tick.send(()).unwrap();
        }
        assert_eq!(client.response(stream).status, 200, "{encoding}");
    }
}

/// The body of one answer, chunk by chunk.
struct Events {
    encoding: &'static str,
    raw: Vec<u8>,
}

impl Events {
    fn new(encoding: &'static str) -> Events {
        Events { encoding, raw: Vec::new() }
    }

    fn read(&mut self, client: &mut testkit::Client) {
        use std::io::Read;
        let mut buffer = [0; 4096];
        let count = client.stream().read(&mut buffer).expect("an answer that goes on");
        assert!(count > 0, "the answer ended");
        self.raw.extend_from_slice(&buffer[..count]);
    }

    /// The bytes of all chunks that are there, and whether the last one is.
    fn body(&self) -> (Vec<u8>, bool) {
        let Some(mut at) = self.raw.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
        else {
            return (Vec::new(), false);
        };
        let mut body = Vec::new();
        while let Some(end) = self.raw[at..].windows(2).position(|window| window == b"\r\n") {
            let size =
                usize::from_str_radix(std::str::from_utf8(&self.raw[at..at + end]).unwrap(), 16).unwrap();
            let begin = at + end + 2;
            if size == 0 {
                return (body, self.raw.len() >= begin + 2);
            }
            if self.raw.len() < begin + size + 2 {
                break;
            }
            body.extend_from_slice(&self.raw[begin..begin + size]);
            at = begin + size + 2;
        }
        (body, false)
    }

    fn wait_for(&mut self, client: &mut testkit::Client, end: &str) {
        while !decoded(self.encoding, &self.body().0).unwrap_or_else(|part| part).ends_with(end.as_bytes()) {
            self.read(client);
        }
    }

    fn wait_for_end(&mut self, client: &mut testkit::Client) -> Result<Vec<u8>, Vec<u8>> {
        while !self.body().1 {
            self.read(client);
        }
        decoded(self.encoding, &self.body().0)
    }
}

/// Half an answer never looks like a whole one.
#[test]
fn an_origin_that_breaks_off_breaks_the_answer_off() {
    let stage = Stage::new(
        |request, _| {
            let body = json(50_000);
            let script = match request.target.as_str() {
                "/chunked" => chunked_head(&EVENTS).send(chunk(&body)),
                "/length" => Script::new()
                    .send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 90000\r\n\r\n")
                    .send(body),
                "/bad" => chunked_head(&EVENTS).send(chunk(&body)).send("zz\r\n"),
                _ => Script::answer(404, ""),
            };
            script.pause(Duration::from_millis(50)).close()
        },
        "compress = true",
    );
    for encoding in ENCODINGS {
        for path in ["/chunked", "/length", "/bad"] {
            let mut client = stage.client();
            client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {encoding}\r\n\r\n"));
            let bytes = client.read_to_end();
            let text = String::from_utf8_lossy(&bytes);
            // What broke before anything was sent can still be told.
            let said = text.contains(&format!("Content-Encoding: {encoding}\r\n"));
            assert!(said || (path == "/bad" && text.starts_with("HTTP/1.1 502 ")), "{path} {text}");
            assert!(!bytes.ends_with(b"0\r\n\r\n"), "{encoding} {path}");

            let mut client = stage.http2();
            let stream = client.open("GET", path, &[("accept-encoding", encoding)], true);
            assert_eq!(client.outcome(stream).err(), Some(H2Failure::Reset(2)), "{encoding} {path}");
        }
    }
    stage.expect_reason("upstream_truncated");
}

#[test]
fn trailers_come_behind_a_compressed_body() {
    let stage = Stage::new(
        |_, _| {
            chunked_head(&[("Content-Type", "text/plain"), ("Trailer", "X-Sum")])
                .send(chunk(b"some text"))
                .send("0\r\nX-Sum: 7\r\nRepr-Digest: sha-256=:x:\r\n\r\n")
        },
        "compress = true",
    );
    let mut client = stage.client();
    for encoding in ENCODINGS {
        let fields = [("Accept-Encoding", encoding), ("TE", "trailers"), ("Connection", "TE")];
        let response = client.request("GET", "/", &fields, b"");
        assert_eq!(decoded(encoding, &response.body), Ok(b"some text".to_vec()));
        assert_eq!(response.trailers.all("X-Sum"), ["7"]);
        assert!(response.trailers.get("Repr-Digest").is_none(), "a digest of other bytes");
        let response =
            stage.http2().request("GET", "/", &[("accept-encoding", encoding), ("te", "trailers")], b"");
        assert_eq!(decoded(encoding, &response.body), Ok(b"some text".to_vec()));
        assert_eq!(response.trailers.all("x-sum"), ["7"]);
    }
}

/// Long bodies over both versions, to a client that takes its time.
#[test]
fn long_bodies_come_through() {
    let body = json(8 << 20);
    let sent = body.clone();
    let stage = Stage::new(
        move |request, _| match request.target.as_str() {
            "/length" => Script::answer_with(200, &[("Content-Type", "text/html")], &sent),
            _ => crate::stage::chunked(&EVENTS, &sent.chunks(100_003).collect::<Vec<_>>()),
        },
        "compress = true",
    );
    for encoding in ENCODINGS {
        for path in ["/length", "/chunked"] {
            let response = stage.client().request("GET", path, &[("Accept-Encoding", encoding)], b"");
            assert!(decoded(encoding, &response.body).as_ref() == Ok(&body), "{encoding} {path}");
            let response = stage.http2().request("GET", path, &[("accept-encoding", encoding)], b"");
            assert!(decoded(encoding, &response.body).as_ref() == Ok(&body), "{encoding} {path}");
        }
    }
}

//! One proxy between raw clients and a recording origin, and what it means here to be refused.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use testkit::{Client, Origin, Palisade, canary};

/// What an attacker would like the origin to see.
pub const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// For what happens at once unless it never does.
pub const SOON: Duration = Duration::from_secs(10);

/// One worker, so that every request meets the same pool of connections to the origin.
pub struct Stage {
    pub palisade: Palisade,
    pub origin: Origin,
    lines_seen: Cell<usize>,
}

impl Stage {
    /// Before the echo service.
    pub fn new() -> Stage {
        Stage::before(Origin::echo(), "")
    }

    /// Before `origin`, with more configuration.
    pub fn before(origin: Origin, more: &str) -> Stage {
        let config = format!(
            r#"
            listeners.http.address = "127.0.0.1:0"
            log.access = "{{dir}}/access.log"
            server.workers = 1
            upstreams.origin.endpoints = ["{}"]

            routes.all.upstream = "origin"
            routes.stream = {{ path = "/stream", upstream = "origin", request_body = "stream" }}
            routes.small = {{ path = "/small", upstream = "origin", max_body_size = 10 }}
            routes.deny = {{ path = "/deny", respond = {{ status = 403 }} }}
            routes.moved = {{ path = "/moved", redirect = "https://{{host}}{{path}}" }}
            {more}
            "#,
            origin.address()
        );
        let palisade = Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config);
        Stage { palisade, origin, lines_seen: Cell::new(0) }
    }

    pub fn front(&self) -> SocketAddr {
        self.palisade.address("http")
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.front())
    }

    /// Each message gets its status, `Connection: close` and a close; the origin gets no byte of any of
    /// them; the log has one line for each, with its reason.
    #[track_caller]
    pub fn refuses<M: AsRef<[u8]>>(&self, cases: &[(M, u16, &str)]) {
        for (message, status, _) in cases {
            self.refuses_one(message.as_ref(), *status);
        }
        self.saw_only_canaries();
        let expected: Vec<&str> = cases.iter().map(|(.., reason)| *reason).collect();
        assert_eq!(self.reasons(cases.len()), expected);
    }

    /// Like [`Stage::refuses`] for bodies that are passed on as they come: the origin may have got a
    /// beginning, but no request.
    #[track_caller]
    pub fn breaks_off<M: AsRef<[u8]>>(&self, cases: &[(M, u16, &str)]) {
        for (message, status, _) in cases {
            self.refuses_one(message.as_ref(), *status);
            self.saw_no_smuggled_request();
        }
        let expected: Vec<&str> = cases.iter().map(|(.., reason)| *reason).collect();
        assert_eq!(self.reasons(cases.len()), expected);
    }

    #[track_caller]
    fn refuses_one(&self, message: &[u8], status: u16) {
        let shown = message[..message.len().min(400)].escape_ascii().to_string();
        let mut client = self.connect();
        // An error here means that the answer came before the end of the message.
        let _ = client.try_send(message);
        let response = client.try_read_response().unwrap_or_else(|error| panic!("{error}: {shown}"));
        assert_eq!(response.status, status, "{shown}");
        assert_eq!(response.header("Connection"), Some("close"), "{shown}");
        assert!(client.is_closed(SOON), "the connection stays open: {shown}");
        assert_eq!(client.unread(), "", "a second answer: {shown}");
        canary(self.front(), &self.origin);
    }

    /// Not a byte at the origin but those of the canaries.
    #[track_caller]
    pub fn saw_only_canaries(&self) {
        for request in self.origin.requests() {
            assert!(request.target.starts_with("/canary-"), "{}", request.raw.escape_ascii());
        }
        assert_eq!(self.origin.unclaimed_bytes(), 0);
    }

    /// Neither origin nor log ever met the request that was hidden in another.
    #[track_caller]
    pub fn saw_no_smuggled_request(&self) {
        for request in self.origin.requests() {
            assert!(!request.target.contains("smuggled"), "{}", request.raw.escape_ascii());
        }
        let log = std::fs::read_to_string(self.palisade.dir().join("access.log")).unwrap_or_default();
        assert!(!log.contains("smuggled"), "{log}");
    }

    /// The reasons in the next `count` lines of the log that have one.
    #[track_caller]
    pub fn reasons(&self, count: usize) -> Vec<String> {
        let seen = self.lines_seen.get();
        let lines = self.palisade.wait_access_log(seen + count, |line| line.contains(r#""reason""#));
        self.lines_seen.set(lines.len());
        lines[seen..].iter().map(|line| json(line)["reason"].as_str().unwrap().to_owned()).collect()
    }
}

pub fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in the log line {line}"))
}

/// `POST /p` with these field lines and this body.
pub fn post(fields: &str, body: &str) -> String {
    format!("POST /p HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

/// `GET /p` with these field lines.
pub fn get(fields: &str) -> String {
    format!("GET /p HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

//! A proxy in front of a server of gRPC.

use std::net::SocketAddr;

use testkit::{H2Client, H2Origin, H2OriginOptions, H2Request, H2Response, H2Script, Palisade};

pub const CALL: &[(&str, &str)] = &[("content-type", "application/grpc"), ("te", "trailers")];
pub const OK: &[(&str, &str)] = &[("grpc-status", "0")];

pub struct Stage {
    pub palisade: Palisade,
    pub origin: H2Origin,
}

impl Stage {
    /// Scripts start with the head of a request. `more` is further configuration.
    pub fn new(script: impl Fn(&H2Request, usize) -> H2Script + Send + Sync + 'static, more: &str) -> Stage {
        let origin = H2Origin::scripted(H2OriginOptions::new().early(), script);
        let config = format!(
            r#"
            listeners.http = {{ address = "127.0.0.1:0", http2 = true }}
            log.access = "{{dir}}/access.log"
            server.workers = 1
            upstreams.app = {{ endpoints = ["{}"], protocol = "http2" }}
            routes.all = {{ path = "/test.Service", upstream = "app", max_body_size = 1000, timeouts = {{ read = "300ms", send = "300ms" }} }}
            routes.web = {{ path = "/web.Service", upstream = "app", grpc_web = true }}
            {more}
            "#,
            origin.address()
        );
        Stage { palisade: Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config), origin }
    }

    pub fn front(&self) -> SocketAddr {
        self.palisade.address("http")
    }

    pub fn client(&self) -> H2Client {
        H2Client::connect(self.front())
    }

    /// A line of the access log with this reason.
    #[track_caller]
    pub fn expect_reason(&self, reason: &str, status: u16) {
        let lines =
            self.palisade.wait_access_log(1, |line| line.contains(&format!("\"reason\":\"{reason}\"")));
        assert!(lines[0].contains(&format!("\"status\":{status}")), "{}", lines[0]);
    }
}

/// A message as it is framed.
pub fn message(bytes: &[u8]) -> Vec<u8> {
    [&[0], &(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

/// The head of an answer.
pub fn answer() -> H2Script {
    H2Script::new().head(200, &[("content-type", "application/grpc")], false)
}

/// Answers a call with its own body, when it has ended.
pub fn echo(request: &H2Request, _: usize) -> H2Script {
    let length = request.header("x-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    answer().await_end().data(message(&testkit::pattern(length)), false).trailers(OK)
}

/// The whole answer is a head that tells of a failure.
#[track_caller]
pub fn expect_failed(response: &H2Response, status: &str) {
    assert_eq!((response.status, response.header("grpc-status")), (200, Some(status)), "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/grpc"));
    assert_eq!(response.body, b"");
    let told = response.header("grpc-message").expect("a message");
    assert!(told.contains("Request id: ") && !told.contains("127.0.0.1"), "{told}");
}

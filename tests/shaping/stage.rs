//! One proxy whose routes are the story, before an origin that echoes or follows a script.

use testkit::{Client, Origin, Palisade, RecordedRequest, Response};

pub struct Stage {
    pub palisade: Palisade,
    pub origin: Origin,
}

impl Stage {
    /// `routes` is all of the configuration but a listener and the upstream `origin`, which answers by
    /// `script`.
    pub fn new(origin: Origin, routes: &str) -> Stage {
        let config = format!(
            r#"
            server.workers = 1
            admin.address = "127.0.0.1:0"
            [listeners.http]
            address = "127.0.0.1:0"
            [upstreams.origin]
            endpoints = ["{}"]
            {routes}
            "#,
            origin.address()
        );
        Stage { palisade: Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config), origin }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.palisade.address("http"))
    }

    /// What a request without more than these fields gets.
    #[track_caller]
    pub fn get(&self, target: &str, fields: &[(&str, &str)]) -> Response {
        self.client().request("GET", target, fields, b"")
    }

    /// The last request that reached the origin.
    #[track_caller]
    pub fn arrived(&self) -> RecordedRequest {
        self.origin.requests().pop().expect("a request at the origin")
    }
}

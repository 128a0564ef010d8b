//! One proxy before one origin.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::{Client, Origin, Palisade, canary, canary_on};

/// For what happens at once unless it never does.
pub const SOON: Duration = Duration::from_secs(10);

pub struct Stage {
    pub palisade: Palisade,
    pub origin: Origin,
}

impl Stage {
    /// Before the echo service.
    pub fn new() -> Stage {
        Stage::before(Origin::echo(), "")
    }

    /// Before `origin`, with more configuration. Below `/stream` bodies are passed on as they come.
    pub fn before(origin: Origin, more: &str) -> Stage {
        let config = format!(
            r#"
            listeners.http.address = "127.0.0.1:0"
            listeners.local.address = "unix:{{dir}}/http.sock"
            log.access = "{{dir}}/access.log"
            server.workers = 1
            upstreams.origin.endpoints = ["{}"]
            routes.all.upstream = "origin"
            routes.stream = {{ path = "/stream", upstream = "origin", request_body = "stream" }}
            routes.small = {{ path = "/small", upstream = "origin", max_body_size = 10 }}
            routes.small_stream = {{ path = "/stream/small", upstream = "origin", max_body_size = 10, request_body = "stream" }}
            {more}
            "#,
            origin.address()
        );
        Stage { palisade: Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config), origin }
    }

    pub fn front(&self) -> SocketAddr {
        self.palisade.address("http")
    }

    pub fn client(&self) -> Client {
        Client::connect(self.front())
    }

    /// A canary on this connection, and three on a new one.
    #[track_caller]
    pub fn all_is_well(&self, client: &mut Client) {
        canary_on(client, &self.origin);
        canary(self.front(), &self.origin);
    }
}

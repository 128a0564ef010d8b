//! A proxy whose life is watched.

use testkit::{Client, Origin, Palisade, Response, SOON};

pub const BINARY: &str = env!("CARGO_BIN_EXE_palisade");
pub const HANGUP: i32 = 1;
pub const INTERRUPT: i32 = 2;
pub const USER1: i32 = 10;
pub const TERMINATE: i32 = 15;

/// A listener, an admin address and socket, and `more`, which names the routes.
pub fn config(more: &str) -> String {
    format!(
        r#"
        listeners.http.address = "127.0.0.1:0"
        admin.address = "127.0.0.1:0"
        admin.socket = "{{dir}}/admin.sock"
        server.workers = 2
        {more}
        "#
    )
}

pub fn to(origin: &Origin) -> String {
    format!("upstreams.origin.endpoints = [\"{}\"]\nroutes.all.upstream = \"origin\"\n", origin.address())
}

pub fn proxy_for(origin: &Origin, more: &str) -> Palisade {
    Palisade::start(BINARY, &config(&format!("{}{more}", to(origin))))
}

pub fn operator(palisade: &Palisade) -> Client {
    Client::connect(palisade.listener("admin-socket"))
}

pub fn reload(palisade: &Palisade) -> Response {
    operator(palisade).request("POST", "/reload", &[], b"")
}

/// A client whose request the origin has and holds.
pub fn held(palisade: &Palisade, origin: &Origin) -> Client {
    let before = origin.requests().len();
    let mut client = palisade.client();
    client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_requests(before + 1, SOON);
    client
}

//! How connections end that did nothing wrong.

use std::time::Duration;

use testkit::http2::{error, kind, setting};
use testkit::{Frame, H2Client, Origin, Palisade, SOON, poll_until};

const TERMINATE: i32 = 15;
/// The highest number of a stream: in a GOAWAY it says that the end is near, and cuts nothing off.
const ANY_STREAM: u32 = u32::MAX >> 1;

fn proxy(origin: &Origin, more: &str) -> Palisade {
    let config = format!(
        r#"
        listeners.http = {{ address = "127.0.0.1:0", http2 = true }}
        server.workers = 2
        upstreams.origin.endpoints = ["{}"]
        routes.all.upstream = "origin"
        {more}
        "#,
        origin.address()
    );
    Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config)
}

/// The last streams that GOAWAY frames named, until the connection ended.
#[track_caller]
fn farewell(client: &mut H2Client) -> Vec<u32> {
    client.set_deadline(SOON);
    let mut named = Vec::new();
    while let Some(frame) = client.frame() {
        if frame.kind == kind::GOAWAY {
            let word =
                |at: usize| u32::from_be_bytes(frame.payload[at..at + 4].try_into().expect("four bytes"));
            assert_eq!(word(4), error::NO_ERROR, "the code of GOAWAY");
            named.push(word(0));
        }
    }
    named
}

/// A client that asks at the same moment learns which of its requests were looked at (RFC 9113 section 6.8).
#[test]
fn an_idle_connection_is_told_before_it_is_closed() {
    let origin = Origin::echo();
    let palisade = proxy(&origin, "server.idle_timeout = \"1s\"");
    let mut unused = H2Client::connect(palisade.address("http"));
    let mut used = H2Client::connect(palisade.address("http"));
    assert_eq!(used.get("/canary-1").text(), "1");
    assert_eq!(used.get("/canary-2").text(), "2");
    assert_eq!(farewell(&mut used), [ANY_STREAM, 3]);
    assert_eq!(farewell(&mut unused), [ANY_STREAM, 0]);
}

#[test]
fn many_idle_connections_are_told_at_a_stop_and_do_not_hold_it_up() {
    const ALL: usize = 300;
    let origin = Origin::echo();
    // Longer than this test may take.
    let mut palisade = proxy(&origin, "server.drain_timeout = \"60s\"\nserver.idle_timeout = \"60s\"");
    let mut clients: Vec<_> = (0..ALL).map(|_| H2Client::connect(palisade.address("http"))).collect();
    for (number, client) in clients.iter_mut().enumerate().filter(|(number, _)| number % 3 > 0) {
        assert_eq!(client.get(&format!("/canary-{number}")).text(), number.to_string());
    }
    let mut busy = H2Client::connect(palisade.address("http"));
    let stream = busy.open("GET", "/slow/1000", &[], true);
    origin.wait_requests(ALL / 3 * 2 + 1, SOON);
    palisade.signal(TERMINATE);
    for (number, client) in clients.iter_mut().enumerate() {
        let last = if number % 3 > 0 { 1 } else { 0 };
        assert_eq!(farewell(client), [ANY_STREAM, last], "connection {number}");
    }
    assert_eq!(busy.response(stream).status, 200);
    poll_until(SOON, "the busy one to end", || busy.is_closed(Duration::from_millis(10)));
    assert!(palisade.wait_exit(SOON).success());
}

/// Not even the goodbye can be sent to a client that takes nothing any more.
#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let origin = Origin::echo();
    let timeouts =
        "server.idle_timeout = \"1s\"\nserver.send_timeout = \"1s\"\nadmin.address = \"127.0.0.1:0\"";
    let palisade = proxy(&origin, timeouts);
    let window = i32::MAX as u32 - 65_535;
    let mut client =
        H2Client::connect_with(palisade.address("http"), &[(setting::INITIAL_WINDOW_SIZE, window)]);
    client.send(&Frame::window_update(0, window));
    client.open("GET", "/bytes/30000000", &[], true);
    let open = || palisade.metrics().sum("open_connections", &[]);
    poll_until(SOON, "the request to be there", || !origin.requests().is_empty() && open() == 1.0);
    poll_until(SOON, "the connection to be cut off", || open() == 0.0);
    assert!(client.is_closed(SOON));
}

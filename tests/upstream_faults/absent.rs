//! Origins that are not there.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use testkit::{Address, Origin, Palisade, SOON, Script, Step, canary, canary_on, pattern};

use crate::early_answers::{upload, wait_for_hang_up};
use crate::idle_deaths::executed;
use crate::stage::{ONE_WORKER, canaries_and, expect_reason, proxy, proxy_for};
use crate::truncation::{Framed, expect_visible_truncation, framed};

/// An address that nobody listens on, kept so by the socket.
fn refusing() -> (Address, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (address.into(), socket)
}

/// An address whose queue of pending connections is full: further ones hang.
struct Blackhole {
    listener: Socket,
    _fill: Vec<TcpStream>,
}

impl Blackhole {
    fn open() -> Blackhole {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut fill = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            fill.push(stream);
            assert!(fill.len() < 100, "the queue is never full");
        }
        Blackhole { listener, _fill: fill }
    }

    fn address(&self) -> Address {
        self.listener.local_addr().unwrap().as_socket().unwrap().into()
    }
}

#[test]
fn a_refused_connection_is_a_502() {
    let (address, _held) = refusing();
    let palisade = proxy(std::slice::from_ref(&address), ONE_WORKER);
    let mut client = palisade.client();
    let response = client.get("/refused");
    assert_eq!(response.status, 502);
    let port = address.tcp().port().to_string();
    assert!(!response.text().contains(&port), "the page names the endpoint: {}", response.text());
    expect_reason(&palisade, "/refused", "upstream_connect_refused");
    palisade.wait_stdout(&format!("\"endpoint\":\"{address}\""), SOON);
    // The client's connection is fine.
    assert_eq!(client.get("/again").status, 502);
}

#[test]
fn a_refused_connection_goes_to_the_next_endpoint() {
    let origin = Origin::echo();
    let (first, _held) = refusing();
    let (second, _also_held) = refusing();
    let palisade = proxy(&[first, second, origin.address()], ONE_WORKER);
    let mut client = palisade.client();
    for turn in 0..9 {
        let response = client.request("POST", "/echo", &[], b"once");
        assert_eq!((response.status, response.text()), (200, "once"), "{turn}");
    }
    assert_eq!(executed(&origin, "/echo"), 9);
    canary_on(&mut client, &origin);
}

#[test]
fn a_missing_unix_socket_is_a_502() {
    let dir = testkit::temp_dir();
    let palisade = proxy(&[Address::Unix(dir.join("nobody.sock"))], ONE_WORKER);
    assert_eq!(palisade.client().get("/missing").status, 502);
    expect_reason(&palisade, "/missing", "upstream_connect_refused");
}

#[test]
fn a_connection_that_hangs_is_a_504() {
    let hole = Blackhole::open();
    let palisade = proxy(&[hole.address()], &format!("{ONE_WORKER}\ndefaults.timeouts.connect = \"300ms\""));
    let started = Instant::now();
    assert_eq!(palisade.client().get("/hangs").status, 504);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    expect_reason(&palisade, "/hangs", "upstream_connect_timeout");
}

#[test]
fn a_connection_that_hangs_goes_to_the_next_endpoint() {
    let hole = Blackhole::open();
    let origin = Origin::echo();
    let palisade = proxy(
        &[hole.address(), origin.address()],
        &format!("{ONE_WORKER}\ndefaults.timeouts.connect = \"200ms\""),
    );
    for _ in 0..2 {
        canary(palisade.address("http"), &origin);
    }
}

#[test]
fn a_silent_origin_is_a_504() {
    let origin = canaries_and(|_| Script::new().then(Step::HoldOpen));
    let palisade = proxy_for(&origin, &format!("{ONE_WORKER}\ndefaults.timeouts.read = \"300ms\""));
    let mut client = palisade.client();
    assert_eq!(client.get("/silent").status, 504);
    expect_reason(&palisade, "/silent", "upstream_read_timeout");
    canary_on(&mut client, &origin);
    // Not even what may be repeated is sent again after a time-out.
    assert_eq!(executed(&origin, "/silent"), 1);
}

#[test]
fn a_head_that_drips_is_a_504() {
    let origin = canaries_and(|_| {
        let mut script = Script::new().send("HTTP/1.1 200 OK\r\nX: ");
        for _ in 0..40 {
            script = script.send("y").pause(Duration::from_millis(50));
        }
        script.send("\r\nContent-Length: 2\r\n\r\nok")
    });
    let palisade = proxy_for(&origin, &format!("{ONE_WORKER}\ndefaults.timeouts.read = \"400ms\""));
    let mut client = palisade.client();
    assert_eq!(client.get("/drip").status, 504);
    expect_reason(&palisade, "/drip", "upstream_read_timeout");
    canary_on(&mut client, &origin);
}

#[test]
fn a_body_that_stalls_has_no_clean_end() {
    for framing in [Framed::Length, Framed::Chunked, Framed::Close] {
        let origin = canaries_and(move |_| {
            let (head, body) = framed(framing, &pattern(10_000));
            Script::new().send(head).send(&body[..5000]).then(Step::HoldOpen)
        });
        let palisade = proxy_for(&origin, &format!("{ONE_WORKER}\ndefaults.timeouts.read = \"300ms\""));
        for version in ["1.1", "1.0"] {
            expect_visible_truncation(&palisade, version, &format!("{framing:?} HTTP/{version}"));
        }
        expect_reason(&palisade, "/cut", "upstream_read_timeout");
        canary(palisade.address("http"), &origin);
    }
}

#[test]
fn an_origin_that_takes_no_body_is_a_504() {
    let origin = Origin::raw(|connection, _| {
        socket2::SockRef::from(connection.stream()).set_recv_buffer_size(4096).unwrap();
        wait_for_hang_up(&connection);
    });
    for mode in ["buffer", "stream"] {
        let palisade = proxy_for(
            &origin,
            &format!(
                "{ONE_WORKER}\nroutes.all.request_body = \"{mode}\"\ndefaults.timeouts.send = \"300ms\"\n\
                 routes.all.max_body_size = \"1GiB\""
            ),
        );
        let (_, response) = upload(&palisade, 32 << 20);
        assert_eq!(response.status, 504, "{mode}");
        expect_reason(&palisade, "/early", "upstream_send_timeout");
    }
}

#[test]
fn a_name_that_does_not_resolve_is_a_503() {
    let palisade = Palisade::start(
        env!("CARGO_BIN_EXE_palisade"),
        r#"
        listeners.http.address = "127.0.0.1:0"
        upstreams.origin.endpoints = ["no-such-host.invalid:80"]
        routes.all.upstream = "origin"
        log.access = "stdout"
        "#,
    );
    let response = palisade.client().get("/nowhere");
    assert_eq!(response.status, 503);
    assert!(response.header("Retry-After").is_some());
    expect_reason(&palisade, "/nowhere", "upstream_not_resolved");
}

/// An endpoint that dies and comes back is used again without a restart.
#[test]
fn an_origin_that_comes_back_is_used_again() {
    let mut origin = Origin::echo();
    let palisade = proxy_for(&origin, ONE_WORKER);
    canary(palisade.address("http"), &origin);
    origin.stop();
    let mut client = palisade.client();
    assert_eq!(client.get("/gone").status, 502);
    origin.restart();
    canary_on(&mut client, &origin);
}

//! A WebSocket on its way through both versions of HTTP: from a client of HTTP/1.1 over a stream of HTTP/2 between
//! two proxies to an origin of HTTP/1.1, which sees a handshake that neither of the two could pass on.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use testkit::{Client, Origin, Palisade, pattern};

const BINARY: &str = env!("CARGO_BIN_EXE_palisade");
const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// An origin that answers the key it is given, and then gives every byte back; `/refused` it does not want.
fn mirror() -> Origin {
    Origin::raw(|mut connection, _| {
        let Ok(Some(request)) = connection.read_request() else { return };
        let key = request.header("Sec-WebSocket-Key").expect("a key").to_owned();
        if request.target == "/refused" {
            let _ = connection.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
            return;
        }
        let accept = palisade::message::websocket::accept_for(key.as_bytes());
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nX-Mirror: yes\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).unwrap();
        let mut piece = [0; 64 << 10];
        while let Ok(count @ 1..) = connection.read(&mut piece) {
            if connection.write_all(&piece[..count]).is_err() {
                return;
            }
        }
    })
}

fn proxy(to: &str, listener: &str, upstream: &str) -> Palisade {
    let config = format!(
        "[listeners.http]\naddress = \"127.0.0.1:0\"\n{listener}\n\
         [upstreams.next]\nendpoints = [\"{to}\"]\n{upstream}\n[routes.all]\nupstream = \"next\"\n"
    );
    Palisade::start(BINARY, &config)
}

/// The origin, and the two proxies before it.
fn chain() -> (Origin, Palisade, Palisade) {
    let origin = mirror();
    let back = proxy(&origin.address().to_string(), "http2 = true", "");
    let front = proxy(&back.address("http").to_string(), "", "protocol = \"http2\"");
    (origin, back, front)
}

#[test]
fn a_socket_goes_through_a_stream_and_each_way_ends_alone() {
    let (origin, _back, front) = chain();
    let mut client = Client::connect(front.address("http"));
    client.send(ASK);
    let response = client.read_response();
    assert_eq!(response.status, 101);
    assert_eq!(response.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(response.header("X-Mirror"), Some("yes"));
    // Each connection of HTTP/1.1 has a handshake of its own.
    let request = origin.requests().pop().unwrap();
    assert_eq!(request.target, "/chat");
    assert_ne!(request.header("Sec-WebSocket-Key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));

    let mut sender = client.stream().try_clone().unwrap();
    let sending = thread::spawn(move || {
        sender.write_all(&pattern(3_000_000)).unwrap();
        sender.shutdown(Shutdown::Write).unwrap();
    });
    let received = client.read_to_end();
    sending.join().unwrap();
    assert!(received == pattern(3_000_000), "{} bytes came back", received.len());
}

#[test]
fn a_refusal_is_an_answer_like_any_other() {
    let (_origin, _back, front) = chain();
    let mut client = Client::connect(front.address("http"));
    client.send(ASK.replace("/chat", "/refused"));
    let response = client.read_response();
    assert_eq!((response.status, response.text()), (403, "no"));
}

#[test]
fn many_sockets_share_a_connection() {
    let (_origin, _back, front) = chain();
    let mut clients: Vec<Client> = (0..20)
        .map(|_| {
            let mut client = Client::connect(front.address("http"));
            client.send(ASK);
            assert_eq!(client.read_response().status, 101);
            client
        })
        .collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("socket {number:03}"));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let mut back = [0; 10];
        client.stream().read_exact(&mut back).unwrap();
        assert_eq!(back, format!("socket {number:03}").as_bytes());
    }
}

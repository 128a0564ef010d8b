//! Answers before the request is complete.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use testkit::{Client, Origin, OriginConnection, Palisade, SOON, pattern, until_still};

use crate::stage::{ONE_WORKER, proxy_for};
use crate::truncation::{Framed, framed};

/// A head without its body, from the socket of an origin.
fn read_head(connection: &mut OriginConnection) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if connection.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// What an origin does with the rest of a body after it has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Read,
    Ignore,
    Close,
    Reset,
}

/// Answers POSTs after the head alone, everything else as the echo service does canaries.
fn early_origin(answer: &'static str, rest: Rest, hasty: Arc<AtomicUsize>) -> Origin {
    Origin::raw(move |mut connection, _| {
        loop {
            let Some(head) = read_head(&mut connection) else { return };
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            if head.starts_with("POST") {
                hasty.fetch_add(1, SeqCst);
                let _ = connection.write_all(answer.as_bytes());
                match rest {
                    Rest::Read => drop(io::copy(&mut connection, &mut io::sink())),
                    // Until the proxy hangs up, which is seen without reading.
                    Rest::Ignore => wait_for_hang_up(&connection),
                    Rest::Close => {}
                    Rest::Reset => return connection.reset(),
                }
                return;
            }
            let body = target.trim_start_matches("/canary-");
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if connection.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// Returns when the peer has closed, without reading what it sent.
pub fn wait_for_hang_up(connection: &OriginConnection) {
    let end = Instant::now() + SOON;
    let socket = socket2::SockRef::from(connection.stream());
    while Instant::now() < end && matches!(socket.take_error(), Ok(None)) && is_connected(connection) {
        thread::sleep(Duration::from_millis(5));
    }
}

fn is_connected(connection: &OriginConnection) -> bool {
    socket2::SockRef::from(connection.stream()).peer_addr().is_ok()
}

/// Sends a big body while it reads the answer, as a browser does.
pub fn upload(palisade: &Palisade, length: usize) -> (Client, testkit::Response) {
    let mut client = palisade.client();
    let mut writer = client.stream().try_clone().unwrap();
    let sending = thread::spawn(move || {
        let head = format!("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        let _ = writer.write_all(head.as_bytes());
        let piece = vec![b'x'; 64 << 10];
        let mut left = length;
        // An error is how the proxy says that it wants no more.
        while left > 0 {
            let count = left.min(piece.len());
            if writer.write_all(&piece[..count]).is_err() {
                return;
            }
            left -= count;
        }
    });
    let response = client.read_response();
    sending.join().unwrap();
    (client, response)
}

#[test]
fn an_early_answer_is_relayed_and_its_connection_not_used_again() {
    const LENGTH: usize = 100 << 20;
    let answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge";
    for rest in [Rest::Read, Rest::Ignore, Rest::Close, Rest::Reset] {
        let hasty = Arc::new(AtomicUsize::new(0));
        let origin = early_origin(answer, rest, hasty.clone());
        let palisade = proxy_for(
            &origin,
            &format!(
                "{ONE_WORKER}\nroutes.all.request_body = \"stream\"\nroutes.all.max_body_size = \"1GiB\""
            ),
        );
        let (mut client, response) = upload(&palisade, LENGTH);
        // A reset may overtake the answer.
        if rest == Rest::Reset && response.status == 502 {
            continue;
        }
        assert_eq!((response.status, response.text()), (413, "large"), "{rest:?}");
        assert!(client.is_closed(SOON), "{rest:?}: the client's connection must not go on");
        assert_eq!(hasty.load(SeqCst), 1);
        for number in 0..3 {
            let mut other = palisade.client();
            assert_eq!(other.get(&format!("/canary-{number}")).text(), number.to_string(), "{rest:?}");
        }
        assert!(origin.connections().len() >= 2, "{rest:?}: the connection was used again");
    }
}

/// An answer that begins early and is large, to a client that first sends all of its request. The answer
/// fills every buffer on its way; the request must flow on all the same, or both sides wait for ever.
#[test]
fn a_request_flows_on_while_its_answer_is_stuck() {
    const LENGTH: usize = 64 << 20;
    const UPLOAD: usize = 80 << 20;
    let (head, body) = framed(Framed::Length, &pattern(LENGTH));
    let answer = Arc::new([head, body].concat());
    let origin = Origin::raw(move |mut connection, _| {
        if read_head(&mut connection).is_none() {
            return;
        }
        socket2::SockRef::from(connection.stream()).set_recv_buffer_size(256 << 10).unwrap();
        let written = Arc::new(AtomicUsize::new(0));
        let mut writer = connection.stream().try_clone().unwrap();
        let writing = thread::spawn({
            let (answer, written) = (answer.clone(), written.clone());
            move || {
                answer.chunks(64 << 10).try_for_each(|piece| {
                    written.fetch_add(piece.len(), SeqCst);
                    writer.write_all(piece)
                })
            }
        });
        until_still(&written);
        assert!(written.load(SeqCst) < LENGTH, "the answer fits into the buffers");
        let mut left = UPLOAD;
        let mut piece = vec![0; 64 << 10];
        while left > 0 {
            match connection.read(&mut piece) {
                Ok(count) if count > 0 => left -= count,
                _ => return,
            }
        }
        let _ = writing.join();
        wait_for_hang_up(&connection);
    });
    let palisade = proxy_for(
        &origin,
        &format!("{ONE_WORKER}\nroutes.all.request_body = \"stream\"\nroutes.all.max_body_size = \"1GiB\""),
    );
    let mut client = palisade.client();
    let socket = socket2::SockRef::from(&*client.stream());
    socket.set_recv_buffer_size(256 << 10).unwrap();
    socket.set_write_timeout(Some(SOON)).unwrap();
    client.send(format!("POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: {UPLOAD}\r\n\r\n"));
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..UPLOAD / piece.len() {
        client.send(&piece);
    }
    let response = client.read_response();
    assert_eq!(response.status, 200);
    assert!(response.body == pattern(LENGTH), "{} bytes", response.body.len());
}

//! Two ends of a TLS connection over a pair of sockets.

use std::future::poll_fn;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{RootCertStore, SupportedProtocolVersion, version};
use tokio::runtime::LocalRuntime;

use super::*;
use crate::wire::Socket;

const ALL: usize = 3_000_000;

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index / 7) as u8).collect()
}

fn configs(version: &'static SupportedProtocolVersion) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// The server's end and the client's, after their handshake.
async fn joined(version: &'static SupportedProtocolVersion) -> (Socket, Socket) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    let (server, client) = (Socket::unix(near.into()).unwrap(), Socket::unix(far.into()).unwrap());
    let (server_config, client_config) = configs(version);
    server.secure(Session::server(server_config, Buffer::new()).unwrap());
    let name = ServerName::try_from("a.test").unwrap();
    client.secure(Session::client(client_config, name).unwrap());
    let (one, other) =
        tokio::join!(poll_fn(|cx| server.poll_handshake(cx)), poll_fn(|cx| client.poll_handshake(cx)),);
    assert_eq!(one.unwrap().version, Some(version.version));
    assert!(other.unwrap().certificate.is_some());
    (server, client)
}

async fn write_all(socket: &Socket, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let count = poll_fn(|cx| socket.poll_write(cx, rest)).await.unwrap();
        rest = &rest[count..];
    }
    poll_fn(|cx| socket.poll_flush(cx)).await.unwrap();
}

/// Reads so many bytes, or to the end.
async fn read(socket: &Socket, len: usize) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), Buffer::new());
    while all.len() < len {
        let count = poll_fn(|cx| socket.poll_fill(cx, &mut buffer)).await.unwrap();
        if count == 0 {
            break;
        }
        all.extend_from_slice(buffer.data());
        buffer.consume(count);
    }
    all
}

fn run(test: impl AsyncFn(&'static SupportedProtocolVersion)) {
    for version in [&version::TLS12, &version::TLS13] {
        LocalRuntime::new().unwrap().block_on(test(version));
    }
}

#[test]
fn bytes_go_both_ways_at_once_and_none_is_lost() {
    run(async |version| {
        let (server, client) = joined(version).await;
        let sent = pattern(ALL);
        let (.., one, other) = tokio::join!(
            write_all(&server, &sent),
            write_all(&client, &sent),
            read(&server, ALL),
            read(&client, ALL),
        );
        assert!(one == sent && other == sent, "other bytes arrived");
    });
}

#[test]
fn a_reader_with_little_room_gets_everything() {
    run(async |version| {
        let (server, client) = joined(version).await;
        let sent = pattern(100_000);
        let reading = async {
            let mut all = Vec::new();
            while all.len() < sent.len() {
                let mut room = [0; 700];
                let mut into = ReadBuf::new(&mut room);
                poll_fn(|cx| client.poll_read(cx, &mut into)).await.unwrap();
                assert!(!into.filled().is_empty());
                all.extend_from_slice(into.filled());
            }
            all
        };
        let ((), all) = tokio::join!(write_all(&server, &sent), reading);
        assert!(all == sent, "other bytes arrived");
    });
}

#[test]
fn tickets_that_come_unasked_are_no_unrest_but_data_and_a_close_are() {
    run(async |version| {
        let (server, client) = joined(version).await;
        assert!(client.is_quiet() && server.is_quiet());
        write_all(&server, b"unasked").await;
        poll_fn(|cx| client.poll_readable(cx)).await.unwrap();
        assert!(!client.is_quiet());
        assert_eq!(read(&client, 7).await, b"unasked");
        assert!(client.is_quiet());
        drop(server);
        poll_fn(|cx| client.poll_readable(cx)).await.unwrap();
        assert!(!client.is_quiet());
    });
}

#[test]
fn a_clean_end_is_told_from_one_that_was_cut() {
    run(async |version| {
        let (server, client) = joined(version).await;
        write_all(&server, b"last").await;
        drop(server);
        assert_eq!(read(&client, 100).await, b"last");

        let (server, client) = joined(version).await;
        write_all(&server, b"cut").await;
        server.reset_on_close();
        drop(server);
        let mut buffer = Buffer::new();
        assert_eq!(poll_fn(|cx| client.poll_fill(cx, &mut buffer)).await.unwrap(), 3);
        assert!(poll_fn(|cx| client.poll_fill(cx, &mut buffer)).await.is_err());
    });
}

#[test]
fn half_a_close_leaves_the_other_direction_open() {
    run(async |version| {
        let (server, client) = joined(version).await;
        write_all(&client, b"all I have to say").await;
        client.shutdown().unwrap();
        assert_eq!(read(&server, 100).await, b"all I have to say");
        write_all(&server, b"answer").await;
        assert_eq!(read(&client, 6).await, b"answer");
    });
}

#[test]
fn a_connection_moves_to_another_runtime() {
    run(async |version| {
        let (server, client) = joined(version).await;
        write_all(&server, b"before").await;
        let portable = client.into_portable();
        let moved = std::thread::spawn(move || {
            LocalRuntime::new().unwrap().block_on(async move {
                let client = Socket::from_portable(portable).unwrap();
                let got = read(&client, 6).await;
                write_all(&client, b"after").await;
                got
            })
        });
        assert_eq!(read(&server, 5).await, b"after");
        assert_eq!(moved.join().unwrap(), b"before");
    });
}

#[test]
fn what_is_no_tls_is_an_error() {
    LocalRuntime::new().unwrap().block_on(async {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let socket = Socket::unix(near.into()).unwrap();
        let (config, _) = configs(&version::TLS13);
        socket.secure(Session::server(config, Buffer::new()).unwrap());
        (&far).write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert!(poll_fn(|cx| socket.poll_handshake(cx)).await.is_err());
    });
}

#[test]
fn what_comes_right_behind_a_handshake_is_not_left_lying() {
    run(async |version| {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        let (server_config, client_config) = configs(version);
        let server = Socket::unix(near.into()).unwrap();
        server.secure(Session::server(server_config, Buffer::new()).unwrap());
        let client = Socket::unix(far.into()).unwrap();
        client.secure(Session::client(client_config, ServerName::try_from("a.test").unwrap()).unwrap());
        let asking = async {
            poll_fn(|cx| client.poll_handshake(cx)).await.unwrap();
            // The last part of the handshake is on its way, and not read yet.
            write_all(&client, b"one").await;
            write_all(&client, b"two").await;
            read(&client, 6).await
        };
        let answering = async {
            // Reads when all of it is there.
            tokio::task::yield_now().await;
            poll_fn(|cx| server.poll_handshake(cx)).await.unwrap();
            let got = read(&server, 6).await;
            write_all(&server, &got).await;
        };
        let (answer, ()) = tokio::join!(asking, answering);
        assert_eq!(answer, b"onetwo");
    });
}

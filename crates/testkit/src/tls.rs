//! TLS beneath clients and origins of the kit: rustls over a blocking socket, and what both sides agreed on.
//!
//! The proxy is built on rustls too, so these tests find what the proxy does with it, not what rustls does; other
//! implementations (openssl, curl, a browser) are asked by tests and judges of their own.

mod client;
mod server;

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::{Connection, HandshakeKind, ProtocolVersion};
use socket2::SockRef;

use crate::stream::Stream;

pub use client::{TlsClient, TlsVersion};
pub use server::{ClientCertificates, Handshake, TlsServer};

/// A stream inside TLS. The handshake is complete.
#[derive(Debug)]
pub struct TlsStream {
    connection: Connection,
    socket: Socket,
}

/// What the two sides agreed on, and what this side was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    pub version: TlsVersion,
    /// As rustls names it, for example `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The key exchange, for example `X25519MLKEM768`; `None` in sessions resumed by TLS 1.2.
    pub group: Option<String>,
    pub alpn: Option<String>,
    pub resumed: bool,
    /// At a server: the name that the client asked for (SNI).
    pub server_name: Option<String>,
    /// The chain of the other side, its own certificate first; empty when it sent none.
    pub peer_chain: Vec<CertificateDer<'static>>,
}

impl TlsStream {
    /// Makes the handshake; it must be done when the read time-out of `stream` strikes.
    fn handshake(connection: Connection, stream: Stream, pieces: Pieces) -> io::Result<TlsStream> {
        let mut stream = TlsStream { connection, socket: Socket { stream, pieces } };
        while stream.connection.is_handshaking() {
            match stream.connection.complete_io(&mut stream.socket) {
                Ok((0, 0)) => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed in the handshake"));
                }
                Ok(_) => {}
                Err(error) => {
                    // The alert that tells the other side why.
                    let _ = stream.connection.write_tls(&mut stream.socket);
                    return Err(error);
                }
            }
        }
        Ok(stream)
    }

    pub fn facts(&self) -> TlsFacts {
        let connection = &self.connection;
        let version = connection.protocol_version().expect("the handshake is complete");
        let cipher = connection.negotiated_cipher_suite().expect("the handshake is complete");
        let group = connection.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
        let server_name = match connection {
            Connection::Server(server) => server.server_name().map(str::to_string),
            Connection::Client(_) => None,
        };
        TlsFacts {
            version: TlsVersion::of(version),
            cipher: format!("{:?}", cipher.suite()),
            group,
            alpn: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            server_name,
            peer_chain: connection.peer_certificates().map(<[_]>::to_vec).unwrap_or_default(),
        }
    }

    /// Says that nothing more will come: close_notify, then FIN.
    pub(crate) fn finish(&mut self) {
        self.connection.send_close_notify();
        let _ = self.flush();
        let _ = self.socket.stream.shutdown(Shutdown::Write);
    }

    /// Replaces the keys of both directions so many times (RFC 8446 section 4.6.3): one small record each.
    pub fn update_keys(&mut self, count: usize) -> io::Result<()> {
        for _ in 0..count {
            self.connection.refresh_traffic_keys().map_err(io::Error::other)?;
            self.flush()?;
        }
        Ok(())
    }

    /// The socket beneath. What is written to it goes out as it is, outside of TLS.
    pub fn socket(&mut self) -> &mut Stream {
        &mut self.socket.stream
    }

    pub(crate) fn beneath(&self) -> &Stream {
        &self.socket.stream
    }
}

impl AsFd for TlsStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.stream.as_fd()
    }
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.connection {
            Connection::Client(client) => rustls::Stream::new(client, &mut self.socket).read(buffer),
            Connection::Server(server) => rustls::Stream::new(server, &mut self.socket).read(buffer),
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.connection {
            Connection::Client(client) => rustls::Stream::new(client, &mut self.socket).write(bytes),
            Connection::Server(server) => rustls::Stream::new(server, &mut self.socket).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.socket)?;
        }
        Ok(())
    }
}

impl Drop for TlsStream {
    /// A good close tells so (RFC 8446 §6.1), unless the socket is to be reset or was shut down before.
    fn drop(&mut self) {
        let socket = SockRef::from(&self.socket.stream);
        let resets = matches!(socket.linger(), Ok(Some(Duration::ZERO)));
        if !resets && socket.set_write_timeout(Some(Duration::from_millis(100))).is_ok() {
            self.connection.send_close_notify();
            let _ = self.flush();
        }
    }
}

/// The text of the alert with which the other side ended the session, for example `CertificateRequired`.
pub fn tls_alert(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(format!("{alert:?}")),
        _ => None,
    }
}

/// How bytes are handed to the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pieces {
    #[default]
    AsTheyCome,
    /// One call, and so one packet, for each byte: what a parser of the first bytes may stumble over.
    Single,
}

#[derive(Debug)]
struct Socket {
    stream: Stream,
    pieces: Pieces,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match (self.pieces, bytes) {
            (Pieces::Single, [first, ..]) => self.stream.write(&[*first]),
            _ => self.stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

impl TlsVersion {
    fn of(version: ProtocolVersion) -> TlsVersion {
        match version {
            ProtocolVersion::TLSv1_2 => TlsVersion::V12,
            ProtocolVersion::TLSv1_3 => TlsVersion::V13,
            other => panic!("rustls agreed on {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests;

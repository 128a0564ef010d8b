//! What idle keep-alive connections with TLS cost in memory.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::thread;

use anyhow::{Context, Result, bail};

use super::client::{Client, Kind};
use crate::bench::front::{Front, Key};
use crate::bench::measure::{CONNECTIONS, Lab, SETTLE};
use crate::bench::peers::Peer;
use crate::bench::process::Wrapped;

impl Lab {
    /// Growth of resident memory in bytes with so many idle connections of TLS 1.3 that have each had one answer.
    pub fn idle_tls_memory(&self, peer: Peer, connections: usize) -> Result<f64> {
        let (site, proxy) = self.start(peer, Front::Tls(Key::EcdsaP256))?;
        let client = Client::new(site.port, &rustls::version::TLS13, Kind::Full)?;
        // What is allocated once, at first use, is not the price of a connection.
        drop(open(&client, CONNECTIONS)?);
        thread::sleep(SETTLE);
        let before = proxy.resident();
        let idle = open(&client, connections)?;
        thread::sleep(SETTLE);
        let growth = proxy.resident() as f64 - before as f64;
        idle.iter().try_for_each(is_open).context("a connection that should be idle")?;
        proxy.stop(Wrapped::SameProcess)?;
        Ok(growth)
    }
}

/// An error for one that the proxy has closed: then it costs nothing, and was not measured. Tickets that nobody has
/// read may lie in the socket.
fn is_open(mut socket: &TcpStream) -> Result<()> {
    socket.set_nonblocking(true)?;
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => bail!("was closed"),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Only the sockets are kept: our own side of TLS would take more memory than the proxies.
fn open(client: &Client, connections: usize) -> Result<Vec<TcpStream>> {
    let open = |number| Ok(client.open().with_context(|| format!("connection {number}"))?.sock);
    (0..connections).map(open).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn tells_a_closed_connection_from_one_with_unread_tickets() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut proxy, _) = listener.accept().unwrap();
        proxy.write_all(b"ticket").unwrap();
        socket.peek(&mut [0]).unwrap();
        assert!(is_open(&socket).is_ok());

        drop(proxy);
        socket.set_nonblocking(false).unwrap();
        assert_eq!(socket.peek(&mut [0]).unwrap(), 0);
        assert!(is_open(&socket).is_err());
    }
}

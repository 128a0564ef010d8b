//! Opens a connection to an endpoint.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::endpoint::Address;
use super::pool::{Connection, Permit};
use crate::message::Failure;
use crate::wire::{Socket, Watchdog};

/// Opens a connection under `permit`, which goes with the failure when there is one.
pub async fn connect(permit: Permit, timeout: Duration, watchdog: &Watchdog) -> Result<Connection, Failure> {
    let endpoint = permit.endpoint().clone();
    endpoint.counters.connects.fetch_add(1, Relaxed);
    let mut attempt = pin!(open(&endpoint.address));
    let outcome = watchdog.limit(Instant::now() + timeout, |cx| attempt.as_mut().poll(cx)).await;
    let failure = match outcome {
        Ok(Ok(socket)) => return Ok(Connection::new(socket, permit)),
        Ok(Err(error)) => classify(&error),
        Err(_) => Failure::ConnectTimeout,
    };
    endpoint.counters.connect_failures.fetch_add(1, Relaxed);
    endpoint.note_failure(failure);
    Err(failure)
}

async fn open(address: &Address) -> io::Result<Socket> {
    match address {
        Address::Tcp(address) => Socket::tcp(TcpStream::connect(*address).await?.into_std()?.into()),
        Address::Unix(path) => Socket::unix(UnixStream::connect(path).await?.into_std()?.into()),
    }
}

pub(super) fn classify(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Failure::ConnectRefused,
        io::ErrorKind::TimedOut => Failure::ConnectTimeout,
        // The process, or the machine, is out of what a connection needs: the endpoint is not to blame.
        io::ErrorKind::AddrNotAvailable => Failure::OutOfPorts,
        _ if matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOBUFS | ENOMEM)) => Failure::OutOfFiles,
        _ => Failure::ConnectFailed,
    }
}

const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOBUFS: i32 = 105;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_want_of_our_own_is_not_the_endpoints_fault() {
        let cases = [
            (ECONNREFUSED, Failure::ConnectRefused),
            (ENOENT, Failure::ConnectRefused),
            (ETIMEDOUT, Failure::ConnectTimeout),
            (EHOSTUNREACH, Failure::ConnectFailed),
            (EADDRNOTAVAIL, Failure::OutOfPorts),
            (EMFILE, Failure::OutOfFiles),
            (ENFILE, Failure::OutOfFiles),
            (ENOBUFS, Failure::OutOfFiles),
            (ENOMEM, Failure::OutOfFiles),
        ];
        for (code, failure) in cases {
            assert_eq!(classify(&io::Error::from_raw_os_error(code)), failure, "error {code}");
        }
    }

    const ENOENT: i32 = 2;
    const EADDRNOTAVAIL: i32 = 99;
    const ETIMEDOUT: i32 = 110;
    const ECONNREFUSED: i32 = 111;
    const EHOSTUNREACH: i32 = 113;
}

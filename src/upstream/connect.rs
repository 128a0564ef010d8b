//! Opens a connection to an endpoint.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::approach::{Approach, Offer};
use super::attempt::Lane;
use super::endpoint::{Address, Endpoint};
use super::http2::{self, Greeted};
use super::permit::Permit;
use super::pool::Connection;
use super::tls::handshake_failure;
use crate::message::Failure;
use crate::wire::tls::{Agreed, to_io};
use crate::wire::{Socket, Watchdog};

/// Opens a connection under `permit`, which goes with the failure when there is one. The handshakes of what is
/// spoken on it must be over within `timeout` too.
pub async fn connect(
    permit: Permit,
    offer: Offer,
    timeout: Duration,
    watchdog: &Watchdog,
) -> Result<Lane, Failure> {
    let endpoint = permit.endpoint().clone();
    endpoint.counters.connects.fetch_add(1, Relaxed);
    let mut attempt = pin!(open(&endpoint, offer));
    let outcome = watchdog.limit(Instant::now() + timeout, |cx| attempt.as_mut().poll(cx)).await;
    let failure = match outcome {
        Ok(Ok(Opened::Plain(socket))) => {
            return Ok(Lane::Whole(match offer {
                Offer::All => Connection::new(socket, permit),
                Offer::Http1 => Connection::for_one(socket, permit),
            }));
        }
        Ok(Ok(Opened::Shared(greeted))) => return Ok(Lane::Shared(http2::start(*greeted, permit))),
        Ok(Err(failure)) => failure,
        Err(_) => Failure::ConnectTimeout,
    };
    endpoint.counters.connect_failures.fetch_add(1, Relaxed);
    endpoint.note_failure(failure);
    Err(failure)
}

/// A connection that is ready for requests.
enum Opened {
    Plain(Socket),
    Shared(Box<Greeted>),
}

async fn open(endpoint: &Endpoint, offer: Offer) -> Result<Opened, Failure> {
    let socket = reach(&endpoint.address).await.map_err(|error| classify(&error))?;
    let approach = &endpoint.approach;
    let (socket, agreed) = match approach.is_secure() {
        false => (socket, None),
        true => secure(socket, endpoint, offer).await?,
    };
    if !approach.may_share() || offer == Offer::Http1 {
        return Ok(Opened::Plain(socket));
    }
    let shares = approach.shares(agreed.as_deref())?;
    endpoint.agreed_http1.store(!shares, Relaxed);
    match shares {
        true => Ok(Opened::Shared(Box::new(Box::pin(http2::greet(socket)).await?))),
        false => Ok(Opened::Plain(socket)),
    }
}

/// Makes the handshake; gives the protocol that was agreed on with the socket.
async fn secure(
    socket: Socket,
    endpoint: &Endpoint,
    offer: Offer,
) -> Result<(Socket, Option<Vec<u8>>), Failure> {
    let counters = &endpoint.counters;
    match shake_hands(socket, &endpoint.approach, offer).await {
        Ok((socket, agreed)) => {
            let counter = if agreed.resumed { &counters.handshakes_resumed } else { &counters.handshakes };
            counter.fetch_add(1, Relaxed);
            Ok((socket, agreed.protocol))
        }
        Err(error) => {
            counters.handshake_failures.fetch_add(1, Relaxed);
            Err(handshake_failure(&error))
        }
    }
}

/// A connected socket to any address.
pub(super) async fn reach(address: &Address) -> io::Result<Socket> {
    match address {
        Address::Tcp(address) => Socket::tcp(TcpStream::connect(*address).await?.into_std()?.into()),
        Address::Unix(path) => Socket::unix(UnixStream::connect(path).await?.into_std()?.into()),
    }
}

/// Makes the handshake, for an approach that has TLS. The socket is the future's own, so that it may also be
/// polled by tasks that move between threads.
pub(super) fn shake_hands(
    socket: Socket,
    approach: &Approach,
    offer: Offer,
) -> impl Future<Output = io::Result<(Socket, Agreed)>> + Send + use<> {
    let begun = match approach.session(offer) {
        Some(Ok(session)) => {
            socket.secure(session);
            Ok(())
        }
        Some(Err(error)) => Err(to_io(error)),
        None => Err(io::ErrorKind::Unsupported.into()),
    };
    let mut socket = Some(socket);
    async move {
        begun?;
        poll_fn(move |cx| {
            let Some(shaking) = &socket else { return Poll::Pending };
            let agreed = ready!(shaking.poll_handshake(cx))?;
            Poll::Ready(
                socket.take().map(|socket| (socket, agreed)).ok_or(io::ErrorKind::NotConnected.into()),
            )
        })
        .await
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

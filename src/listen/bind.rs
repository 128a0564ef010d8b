//! Listening sockets: made once, before any worker starts, so that what cannot be bound is said at start.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};

use super::{ListenAddress, ListenerOptions};

/// A listening socket that is in no runtime yet.
#[derive(Debug)]
pub enum Listening {
    Tcp(std::net::TcpListener),
    Unix(UnixListener),
}

/// One listener, bound: a socket for each worker.
#[derive(Debug)]
pub struct BoundListener {
    pub name: String,
    /// As configured: what a reload compares.
    pub address: ListenAddress,
    /// As bound: with the port that the system chose for port 0.
    pub bound: String,
    pub sockets: Vec<Listening>,
}

/// Binds a listener for so many workers. With TCP each has a socket of its own (`SO_REUSEPORT`), among
/// which the kernel spreads the connections; a unix socket is shared.
pub fn bind(options: &ListenerOptions, workers: usize) -> io::Result<BoundListener> {
    let (bound, sockets) = match &options.address {
        ListenAddress::Tcp(address) => {
            let first = tcp(*address, options.backlog)?;
            let address = first.local_addr()?;
            // With port 0 nobody knew the address before.
            note_ours(address);
            let mut sockets = vec![Listening::Tcp(first)];
            for _ in 1..workers {
                sockets.push(Listening::Tcp(tcp(address, options.backlog)?));
            }
            (address.to_string(), sockets)
        }
        ListenAddress::Unix(path) => {
            let first = unix(path, options.backlog)?;
            let mut sockets = Vec::new();
            for _ in 1..workers {
                sockets.push(Listening::Unix(first.try_clone()?));
            }
            sockets.push(Listening::Unix(first));
            (format!("unix:{}", path.display()), sockets)
        }
    };
    Ok(BoundListener { name: options.name.clone(), address: options.address.clone(), bound, sockets })
}

fn tcp(address: SocketAddr, backlog: u32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 too; whoever wants it apart names both addresses.
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for the connections of before to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    refuse_foreign_sharing(address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// `SO_REUSEPORT` would let a second process of the same user share the port in silence, each getting half
/// of the connections. Two of our own sockets are meant; so the port must be free, or ours.
fn refuse_foreign_sharing(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 || OURS.with_borrow(|ours| ours.contains(&address)) {
        return Ok(());
    }
    let probe = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        probe.set_only_v6(false)?;
    }
    probe.set_reuse_address(true)?;
    probe.bind(&address.into())?;
    note_ours(address);
    Ok(())
}

thread_local! {
    /// Addresses that this process has bound before.
    static OURS: RefCell<Vec<SocketAddr>> = const { RefCell::new(Vec::new()) };
}

fn note_ours(address: SocketAddr) {
    OURS.with_borrow_mut(|ours| {
        if !ours.contains(&address) {
            ours.push(address);
        }
    });
}

fn unix(path: &Path, backlog: u32) -> io::Result<UnixListener> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(UnixListener::from(std::os::fd::OwnedFd::from(socket)))
}

/// A socket file that nobody listens behind is left over from a process that was killed.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path exists and is no socket"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

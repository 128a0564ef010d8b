//! Servers that others wrote, to try the kit on.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{CertificateFiles, SOON, poll_until};

/// A server that is killed when the test is over.
pub struct Other {
    pub address: SocketAddr,
    process: Child,
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// nghttpd serving the files in `dir`, with TLS if there is a certificate.
pub fn nghttpd(dir: &Path, certificate: Option<&CertificateFiles>, options: &[&str]) -> Other {
    let address = free_address();
    let port = address.port().to_string();
    let mut command = Command::new("nghttpd");
    command.args(["--address", "127.0.0.1", "--htdocs"]).arg(dir).args(options);
    match certificate {
        Some(files) => command.arg(port).arg(&files.key).arg(&files.certificate),
        None => command.arg("--no-tls").arg(port),
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let other = Other { address, process: command.spawn().expect("nghttpd runs") };
    poll_until(SOON, "nghttpd to listen", || TcpStream::connect(address).is_ok());
    other
}

/// A port that nobody has now; programs that cannot say which one the kernel gave them need one in advance.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address")
}

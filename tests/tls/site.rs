//! Hosts with different demands behind one listener, and clients of all kinds.

use std::fs;
use std::io;
use std::path::Path;

use testkit::{
    Authority, Certificate, Client, Launch, Leaf, Origin, Palisade, Script, TempDir, TlsClient, temp_dir,
};

pub const BINARY: &str = env!("CARGO_BIN_EXE_palisade");

/// `open.test` asks nothing of clients, `protected.test` for a certificate that is not revoked, and the names
/// below `wild.test` for a certificate. Each has a route to the origin.
pub struct Site {
    pub server_ca: Authority,
    pub client_ca: Authority,
    pub dir: TempDir,
    pub origin: Origin,
    pub good: Certificate,
    pub revoked: Certificate,
}

impl Site {
    pub fn new() -> Site {
        let (server_ca, client_ca, dir) = (Authority::new("server"), Authority::new("clients"), temp_dir());
        let names = ["open.test", "protected.test", "*.wild.test", "127.0.0.1"];
        server_ca.issue(Leaf::server(&names)).write_to(&dir, "app");
        server_ca.write_to(&dir, "server-ca");
        client_ca.write_to(&dir, "clients");
        let good = client_ca.issue(Leaf::client("good").name("good.test").uri("spiffe://test/good"));
        let revoked = client_ca.issue(Leaf::client("revoked"));
        fs::write(dir.join("revoked.pem"), client_ca.revocations(&[&revoked])).unwrap();
        good.write_to(&dir, "good");
        let origin = Origin::scripted(|_, _| Script::answer(200, "here"));
        Site { server_ca, client_ca, dir, origin, good, revoked }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `listener` stands in the table of the listener `https`; `more` comes behind everything.
    pub fn config(&self, listener: &str, more: &str) -> String {
        format!(
            r#"
            admin.address = "127.0.0.1:0"
            admin.socket = "{{dir}}/admin.sock"
            server.workers = 2
            certificates.app = {{ certificate = "{0}/app.pem", key = "{0}/app.key" }}
            upstreams.origin.endpoints = ["{1}"]
            [listeners.https]
            address = "127.0.0.1:0"
            {listener}
            [routes.open]
            upstream = "origin"
            [routes.protected]
            host = "protected.test"
            client_ca = "{0}/clients.pem"
            client_crl = "{0}/revoked.pem"
            upstream = "origin"
            [routes.wild]
            host = "*.wild.test"
            client_ca = "{0}/clients.pem"
            upstream = "origin"
            {more}
            "#,
            self.dir().display(),
            self.origin.address(),
        )
    }

    pub fn start(&self, listener: &str, more: &str) -> Palisade {
        Launch::new(BINARY).start(&self.config(listener, more))
    }

    pub fn client(&self, name: &str) -> TlsClient {
        TlsClient::trusting(&self.server_ca, name)
    }

    /// A client with the certificate that everybody takes.
    pub fn known_client(&self, name: &str) -> TlsClient {
        self.client(name).certificate(&self.good)
    }
}

/// Status of an answer for `open.test`, and whether the session was resumed.
pub fn ask(palisade: &Palisade, client: &TlsClient) -> io::Result<(u16, bool)> {
    ask_of(palisade, client, "open.test")
}

/// The same for `host`; or the error of whoever would not have the other.
pub fn ask_of(palisade: &Palisade, client: &TlsClient, host: &str) -> io::Result<(u16, bool)> {
    let mut connected = Client::try_connect_tls(palisade.address("https"), client)?;
    connected.try_send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))?;
    let status = connected.try_read_response()?.status;
    Ok((status, connected.tls().resumed))
}

pub fn reload(palisade: &Palisade) {
    let mut operator = Client::connect(palisade.listener("admin-socket"));
    let answer = operator.request("POST", "/reload", &[], b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

//! Certificates, authorities and their files, while a proxy runs.

use std::fs;
use std::io;
use std::path::Path;

use testkit::{
    Authority, Certificate, Client, Launch, Leaf, Palisade, SOON, TempDir, TlsClient, poll_until, temp_dir,
};

const BINARY: &str = env!("CARGO_BIN_EXE_palisade");
const NAME: &str = "a.test";

/// An authority, a folder, and a certificate in it.
struct Site {
    ca: Authority,
    dir: TempDir,
    first: Certificate,
}

impl Site {
    fn new() -> Site {
        let (ca, dir) = (Authority::new("site"), temp_dir());
        let first = ca.issue(Leaf::server(&[NAME, "other.test"]));
        first.write_to(&dir, "app");
        Site { ca, dir, first }
    }

    fn dir(&self) -> &Path {
        &self.dir
    }

    /// `more` comes after the listener.
    fn config(&self, more: &str) -> String {
        format!(
            r#"
            admin.address = "127.0.0.1:0"
            admin.socket = "{{dir}}/admin.sock"
            server.workers = 2
            certificates.app = {{ certificate = "{0}/app.pem", key = "{0}/app.key" }}
            routes.all.respond = {{ body = "here" }}
            [listeners.https]
            address = "127.0.0.1:0"
            tls = true
            {more}
            "#,
            self.dir().display()
        )
    }

    fn start(&self, more: &str) -> Palisade {
        Palisade::start(BINARY, &self.config(more))
    }

    fn client(&self) -> TlsClient {
        TlsClient::trusting(&self.ca, NAME)
    }
}

/// Whether the certificate is the one that is shown.
fn shows(palisade: &Palisade, client: &TlsClient, certificate: &Certificate) -> bool {
    let mut connected = Client::connect_tls(palisade.address("https"), client);
    connected.tls().peer_chain.first() == certificate.chain.first()
}

/// The answer, or the error of whoever would not have the other.
fn ask(palisade: &Palisade, client: &TlsClient) -> io::Result<(u16, bool)> {
    let mut connected = Client::try_connect_tls(palisade.address("https"), client)?;
    connected.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")?;
    let status = connected.try_read_response()?.status;
    Ok((status, connected.tls().resumed))
}

fn operator(palisade: &Palisade) -> Client {
    Client::connect(palisade.listener("admin-socket"))
}

fn status(palisade: &Palisade) -> String {
    operator(palisade).get("/status").text().to_owned()
}

fn failing(palisade: &Palisade) -> f64 {
    palisade.metrics().sum("certificate_failing", &[r#"certificate="app""#])
}

#[test]
fn a_renewed_certificate_is_used_without_a_reload_and_a_broken_one_is_not() {
    let site = Site::new();
    let palisade = site.start("");
    let client = site.client();
    assert!(shows(&palisade, &client, &site.first));
    // Half of it, and nobody brings the other.
    let second = site.ca.issue(Leaf::server(&[NAME]));
    fs::write(site.dir().join("app.pem"), &second.chain_pem).unwrap();
    palisade.wait_stderr("does not belong to the certificate", SOON);
    assert!(shows(&palisade, &client, &site.first));
    assert_eq!(failing(&palisade), 1.0);
    let status_now = status(&palisade);
    assert!(status_now.contains("does not belong to the certificate"), "{status_now}");
    fs::write(site.dir().join("app.key"), &second.key_pem).unwrap();
    poll_until(SOON, "the new certificate", || shows(&palisade, &client, &second));
    palisade.wait_stderr("certificate app: changed, used from now on", SOON);
    assert_eq!(failing(&palisade), 0.0);
    // A reload reads the same and says nothing of it.
    assert_eq!(operator(&palisade).request("POST", "/reload", &[], b"").status, 200);
    assert!(shows(&palisade, &client, &second));
    let stderr = palisade.stderr();
    assert_eq!(stderr.matches("does not belong").count(), 1, "{stderr}");
    assert!(!stderr.contains("PRIVATE") && !stderr.contains("well again"), "{stderr}");
}

#[test]
fn what_ends_and_what_has_ended_is_told() {
    let site = Site::new();
    site.ca.issue(Leaf::server(&["old.test"]).expired()).write_to(site.dir(), "old");
    let palisade = Palisade::start(
        BINARY,
        &format!(
            "certificates.old = {{ certificate = \"{0}/old.pem\", key = \"{0}/old.key\" }}{1}",
            site.dir().display(),
            site.config("")
        ),
    );
    let stderr = palisade.stderr();
    assert!(stderr.contains("certificate old: it ended") && stderr.contains("has expired"), "{stderr}");
    assert!(!stderr.contains("certificate app: it"), "{stderr}");
    let told = status(&palisade);
    let line = |name: &str| told.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    for part in ["a.test,other.test", "CN=site"] {
        assert!(line("app").contains(part), "{part:?} is not in {told}");
    }
    assert!(line("app").ends_with(" 30") || line("app").ends_with(" 29"), "{told}");
    let expiry = |name: &str| {
        palisade.metrics().sum("certificate_expiry_seconds", &[&format!("certificate=\"{name}\"")])
    };
    assert!(expiry("old") < 0.0);
    let days = expiry("app") / 86_400.0;
    assert!((28.9..=30.0).contains(&days), "{days}");
    // It is shown nevertheless.
    let old = TlsClient::unverified("old.test");
    assert_eq!(ask(&palisade, &old).unwrap().0, 200);
}

#[test]
fn no_file_of_an_authority_is_no_start_and_no_reload() {
    let (site, clients) = (Site::new(), Authority::new("clients"));
    let pem = site.dir().join("clients.pem");
    let more = format!("client_ca = \"{}\"", pem.display());
    let refused = Launch::new(BINARY).try_start(&site.config(&more)).err().unwrap();
    assert!(refused.stderr.contains("clients.pem`: there is no such file"), "{refused}");
    fs::write(&pem, "").unwrap();
    let refused = Launch::new(BINARY).try_start(&site.config(&more)).err().unwrap();
    assert!(refused.stderr.contains("clients.pem` is empty"), "{refused}");

    clients.write_to(site.dir(), "clients");
    let palisade = site.start(&more);
    let (nobody, own) = (site.client(), clients.issue(Leaf::client("own")));
    let someone = site.client().certificate(&own);
    assert!(ask(&palisade, &nobody).is_err());
    assert_eq!(ask(&palisade, &someone).unwrap().0, 200);
    for content in [Some(""), Some("-----BEGIN CERTIFICATE-----\n"), None] {
        match content {
            Some(content) => fs::write(&pem, content).unwrap(),
            None => fs::remove_file(&pem).unwrap(),
        }
        let answer = operator(&palisade).request("POST", "/reload", &[], b"");
        assert_eq!(answer.status, 422, "{content:?}: {}", answer.text());
        assert!(answer.text().contains("client_ca = "), "{content:?}: {}", answer.text());
        assert!(ask(&palisade, &nobody).is_err(), "{content:?}");
        assert_eq!(ask(&palisade, &someone).unwrap().0, 200, "{content:?}");
    }
    palisade.wait_stderr("clients.pem`: there is no such file; the one before is used", SOON);
    assert!(status(&palisade).contains("clients.pem`: there is no such file"));
}

#[test]
fn other_authorities_or_a_revocation_end_connections_and_sessions() {
    let (site, clients) = (Site::new(), Authority::new("clients"));
    clients.write_to(site.dir(), "clients");
    let (own, other) = (clients.issue(Leaf::client("own")), clients.issue(Leaf::client("other")));
    let crl = site.dir().join("revoked.pem");
    fs::write(&crl, clients.revocations(&[])).unwrap();
    let more = format!(
        "[routes.partners]\nhost = \"{NAME}\"\nclient_ca = \"{0}/clients.pem\"\nclient_crl = \"{0}/revoked.pem\"\n\
         respond = {{ body = \"partners\" }}",
        site.dir().display()
    );
    // With one worker the policy is another one for all at once.
    let palisade = Palisade::start(BINARY, &site.config(&more).replace("workers = 2", "workers = 1"));
    let someone = site.client().certificate(&own).resuming();
    let another = site.client().certificate(&other).resuming();
    for client in [&someone, &another] {
        assert_eq!(ask(&palisade, client).unwrap(), (200, false));
        assert_eq!(ask(&palisade, client).unwrap(), (200, true));
    }
    let mut open = Client::connect_tls(palisade.address("https"), &another);
    let get = |client: &mut Client| {
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        client.read_response().status
    };
    assert_eq!(get(&mut open), 200);
    fs::write(&crl, clients.revocations(&[&own])).unwrap();
    poll_until(SOON, "the revocation", || ask(&palisade, &someone).is_err());
    // Its handshake was made under what held before.
    assert_eq!(get(&mut open), 421);
    // A whole handshake, and then again with a ticket.
    assert_eq!(ask(&palisade, &another).unwrap(), (200, false));
    assert_eq!(ask(&palisade, &another).unwrap(), (200, true));
}

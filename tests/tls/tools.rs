//! TLS of others: curl and openssl, also with names that a library would write otherwise.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::Site;

/// What `openssl s_client` says of a connection on which it asked `name` for `/`.
pub fn openssl(site: &Site, address: SocketAddr, name: &str, arguments: &[&str]) -> String {
    ask_by_openssl(site, address, &["-servername", name], name, arguments)
}

fn ask_by_openssl(
    site: &Site,
    address: SocketAddr,
    asked: &[&str],
    host: &str,
    arguments: &[&str],
) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-ign_eof", "-connect", &address.to_string(), "-CAfile"]);
    command.arg(site.dir().join("server-ca.pem")).args(asked).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("openssl runs");
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    // It may have been refused already.
    let _ = child.stdin.take().expect("a pipe").write_all(request.as_bytes());
    let output = child.wait_with_output().expect("openssl ends");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

pub fn is_resumed(said: &str) -> bool {
    assert!(said.contains("New, TLSv1") || said.contains("Reused, TLSv1"), "no handshake: {said}");
    said.contains("Reused, TLSv1")
}

#[test]
fn curl_speaks_every_version_with_every_version() {
    let site = Site::new();
    let palisade = site.start("tls = true", "");
    let port = palisade.address("https").port();
    for tls in ["1.2", "1.3"] {
        for (http, spoken) in [("--http1.1", "1.1"), ("--http2", "2")] {
            let mut command = Command::new("curl");
            command.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", http]);
            command.args([&format!("--tlsv{tls}"), "--tls-max", tls, "--cacert"]);
            command.arg(site.dir().join("server-ca.pem"));
            command.args(["--resolve", &format!("open.test:{port}:127.0.0.1")]);
            command.args(["--write-out", " %{http_version} %{response_code}"]);
            command.arg(format!("https://open.test:{port}/"));
            let output = command.output().expect("curl runs");
            let said = String::from_utf8_lossy(&output.stdout);
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(said, format!("here {spoken} 200"), "TLS {tls}: {error}");
        }
    }
}

#[test]
fn a_name_in_another_spelling_is_the_same_name() {
    let site = Site::new();
    let palisade = site.start("tls = true", "");
    let address = palisade.address("https");
    let [certificate, key] = ["good.pem", "good.key"].map(|file| site.dir().join(file).display().to_string());
    let shown = ["-cert", &certificate, "-key", &key];
    for name in ["PROTECTED.test", "protected.test.", "Protected.Test.", "A.Wild.TEST"] {
        let asked = ["-servername", name];
        let host = name.trim_end_matches('.').to_lowercase();
        let ask = |host: &str, shown: &[&str]| ask_by_openssl(&site, address, &asked, host, shown);
        let good = ask(&host, &shown);
        assert!(good.contains("200 OK"), "{name}: {good}");
        let without = ask(&host, &[]);
        assert!(!without.contains("HTTP/1.1"), "{name}: {without}");
        let elsewhere = ask("open.test", &shown);
        assert!(elsewhere.contains("HTTP/1.1 421"), "{name}: {elsewhere}");
    }
    // An address, or nothing, in place of a name: the listener's own policy, which leads to no host with another.
    for asked in [&["-servername", "127.0.0.1"][..], &["-noservername"]] {
        let ask = |host: &str| ask_by_openssl(&site, address, asked, host, &shown);
        let open = ask("open.test");
        let protected = ask("protected.test");
        // rustls takes an address there for a mistake (RFC 6066 section 3), or for none.
        assert!(open.contains("HTTP/1.1 200") || open.contains("alert"), "{asked:?}: {open}");
        assert!(protected.contains("HTTP/1.1 421") || protected.contains("alert"), "{asked:?}: {protected}");
    }
}

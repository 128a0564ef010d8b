//! Clients that are not ours: nghttp and h2load.

use std::fs;
use std::process::Command;

use testkit::{Authority, Leaf, Origin, Palisade, pattern, temp_dir};

struct Stage {
    palisade: Palisade,
    /// Of a listener without TLS, and of one with it.
    addresses: [String; 2],
}

fn stage(origin: &Origin) -> Stage {
    let dir = temp_dir();
    let authority = Authority::new("CA");
    let files = authority.issue(Leaf::server(&["127.0.0.1"])).write_to(&dir, "app");
    let config = format!(
        r#"
        listeners.http = {{ address = "127.0.0.1:0", http2 = true }}
        listeners.https = {{ address = "127.0.0.1:0", tls = true }}
        certificates.app = {{ certificate = "{}", key = "{}" }}
        admin.address = "127.0.0.1:0"
        server.workers = 2
        upstreams.origin.endpoints = ["{}"]
        routes.all.upstream = "origin"
        "#,
        files.certificate.display(),
        files.key.display(),
        origin.address()
    );
    let palisade = Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config);
    let addresses = ["http", "https"].map(|name| format!("{name}://{}", palisade.address(name)));
    Stage { palisade, addresses }
}

#[track_caller]
fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    output.stdout
}

#[test]
fn nghttp_gets_what_it_asks_for() {
    let (origin, dir) = (Origin::echo(), temp_dir());
    let stage = stage(&origin);
    let body = pattern(300_000);
    fs::write(dir.join("body"), &body).unwrap();
    for address in &stage.addresses {
        let nghttp = || {
            let mut command = Command::new("nghttp");
            command.args(["--no-dep", "--timeout=20"]);
            command
        };
        assert_eq!(run(nghttp().arg(format!("{address}/canary-7"))), b"7", "{address}");
        let sent = run(nghttp().arg("--data").arg(dir.join("body")).arg(format!("{address}/echo")));
        assert!(sent == body, "{address}: {} bytes came back", sent.len());
        // Several at a time, with its own words for what came: the status of each.
        let paths = (0..20).map(|number| format!("{address}/chunked/{}", number * 1000));
        let said = run(nghttp().args(["--null-out", "--stat"]).args(paths));
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(said.lines().filter(|line| line.contains(" 200 ")).count(), 20, "{said}");
    }
    assert_eq!(origin.violations(), Vec::<String>::new());
}

#[test]
fn h2load_sees_no_request_fail() {
    const REQUESTS: usize = 2000;
    let origin = Origin::echo();
    let stage = stage(&origin);
    for address in &stage.addresses {
        let mut command = Command::new("h2load");
        command.args(["-n", &REQUESTS.to_string(), "-c", "10", "-m", "20"]);
        command.args(["/canary-1", "/bytes/20000", "/chunked/5000"].map(|path| format!("{address}{path}")));
        let said = run(&mut command);
        let said = String::from_utf8_lossy(&said);
        let wanted = format!("{REQUESTS} done, {REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout");
        assert!(said.contains(&wanted), "{said}");
        assert!(said.contains(&format!("{REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx")), "{said}");
    }
    let metrics = stage.palisade.metrics();
    assert_eq!(metrics.sum("connections_abusive_total", &[]), 0.0);
}

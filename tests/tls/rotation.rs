//! Certificates that change every second under load.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use testkit::{Certificate, Client, Leaf, SOON, TlsClient, poll_until};

use crate::Site;

/// Seconds; `PALISADE_ROTATION_SECONDS` sets others for a longer look.
const LENGTH: usize = 10;

/// As Kubernetes does it: a folder for each version, and a link that is replaced in one step.
fn swap(dir: &Path, number: usize, certificate: &Certificate) {
    let version = dir.join(format!("..version_{number}"));
    fs::create_dir(&version).unwrap();
    certificate.write_to(&version, "tls");
    let next = dir.join("..data_tmp");
    symlink(version.file_name().unwrap(), &next).unwrap();
    fs::rename(&next, dir.join("..data")).unwrap();
    if number > 1 {
        fs::remove_dir_all(dir.join(format!("..version_{}", number - 2))).unwrap();
    }
}

#[test]
fn a_swap_each_second_fails_nobody() {
    let length = std::env::var("PALISADE_ROTATION_SECONDS").map_or(LENGTH, |text| text.parse().unwrap());
    let site = Site::new();
    let dir = site.dir().join("mounted");
    fs::create_dir(&dir).unwrap();
    let issue = || site.server_ca.issue(Leaf::server(&["open.test"]));
    swap(&dir, 0, &issue());
    for file in ["tls.pem", "tls.key"] {
        symlink(Path::new("..data").join(file), dir.join(file)).unwrap();
    }
    let files = format!("{0}/tls.pem\", key = \"{0}/tls.key\"", dir.display());
    let usual = format!("{0}/app.pem\", key = \"{0}/app.key\"", site.dir().display());
    let palisade =
        testkit::Palisade::start(crate::site::BINARY, &site.config("tls = true", "").replace(&usual, &files));
    let client = site.client("open.test");
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let asking = || -> io::Result<()> {
            while !over.load(SeqCst) {
                let mut client = Client::try_connect_tls(palisade.address("https"), &client)?;
                for _ in 0..2 {
                    client.try_send("GET / HTTP/1.1\r\nHost: open.test\r\n\r\n")?;
                    assert_eq!(client.try_read_response()?.status, 200);
                }
                asked.fetch_add(1, SeqCst);
            }
            Ok(())
        };
        let clients: Vec<_> = (0..2).map(|_| scope.spawn(asking)).collect();
        for number in 1..=length {
            let next = issue();
            swap(&dir, number, &next);
            poll_until(SOON, "the new certificate", || shows(&palisade, &client, &next));
            std::thread::sleep(Duration::from_millis(200));
        }
        over.store(true, SeqCst);
        for client in clients {
            client.join().unwrap().unwrap();
        }
    });
    assert!(asked.load(SeqCst) > length, "only {asked:?} connections");
    assert_eq!(palisade.metrics().sum("tls_handshakes_failed_total", &[]), 0.0);
    let told = palisade.stderr().matches("certificate app: changed, used from now on").count();
    assert_eq!(told, length);
}

fn shows(palisade: &testkit::Palisade, client: &TlsClient, certificate: &Certificate) -> bool {
    let mut connected = Client::connect_tls(palisade.address("https"), client);
    connected.tls().peer_chain.first() == certificate.chain.first()
}

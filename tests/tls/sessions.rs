//! Sessions that go on: wherever they may, and nowhere else.

use std::fs;
use std::time::{Duration, SystemTime};

use testkit::{Leaf, SOON, TlsVersion, poll_until, temp_dir, write_example_files};

use crate::site::reload;
use crate::tools::{is_resumed, openssl};
use crate::{Site, ask, ask_of};

const BOTH: [TlsVersion; 2] = [TlsVersion::V12, TlsVersion::V13];

#[test]
fn a_session_goes_on_at_every_worker_and_after_a_reload() {
    let site = Site::new();
    let palisade = site.start("tls = true", "");
    for version in BOTH {
        let client = site.client("open.test").only(version).resuming();
        assert_eq!(ask(&palisade, &client).unwrap(), (200, false));
        // More connections than workers: the kernel spreads them.
        for _ in 0..16 {
            assert_eq!(ask(&palisade, &client).unwrap(), (200, true), "{version:?}");
        }
        reload(&palisade);
        assert_eq!(ask(&palisade, &client).unwrap(), (200, true), "{version:?}");
    }
    assert!(palisade.metrics().sum("tls_handshakes_resumed_total", &[]) >= 34.0);
}

#[test]
fn a_session_of_one_host_is_nothing_to_another() {
    let site = Site::new();
    let palisade = site.start("tls = true", "");
    for version in BOTH {
        for (from, to) in [
            ("protected.test", "a.wild.test"),
            ("a.wild.test", "protected.test"),
            ("protected.test", "open.test"),
            ("open.test", "a.wild.test"),
        ] {
            let client = site.known_client(from).only(version).resuming();
            assert_eq!(ask_of(&palisade, &client, from).unwrap(), (200, false), "{from}");
            let elsewhere = client.clone().name(to);
            assert_eq!(ask_of(&palisade, &elsewhere, to).unwrap(), (200, false), "{from} to {to}");
        }
        // The other way round: what was agreed on without a certificate does not stand for one.
        let nobody = site.client("open.test").only(version).resuming();
        assert_eq!(ask(&palisade, &nobody).unwrap(), (200, false));
        assert!(ask_of(&palisade, &nobody.name("protected.test"), "protected.test").is_err());
    }
}

/// openssl shows the same ticket as often as it is told to.
#[test]
fn keys_that_were_replaced_twice_are_forgotten() {
    let site = Site::new();
    let keys = [(); 3].map(|()| fresh_key());
    let file = site.dir().join("tickets");
    fs::write(&file, &keys[0]).unwrap();
    let listener = format!("tls = {{ ticket_keys = \"{}\" }}", file.display());
    let session = site.dir().join("session").display().to_string();
    for version in ["-tls1_2", "-tls1_3"] {
        fs::write(&file, &keys[0]).unwrap();
        let palisade = site.start(&listener, "");
        let address = palisade.address("https");
        openssl(&site, address, "open.test", &[version, "-sess_out", &session]);
        let resumes = || is_resumed(&openssl(&site, address, "open.test", &[version, "-sess_in", &session]));
        let told = |times| {
            poll_until(SOON, "the keys to be used", || {
                palisade.stderr().matches("changed, used from now on").count() == times
            });
        };
        assert!(resumes(), "{version}: with the same key");
        fs::write(&file, format!("{}\n{}\n", keys[1], keys[0])).unwrap();
        told(1);
        assert!(resumes(), "{version}: the key before still decrypts");
        fs::write(&file, format!("{}\n{}\n", keys[2], keys[1])).unwrap();
        told(2);
        assert!(!resumes(), "{version}: two keys later");
        let stderr = palisade.stderr();
        assert!(keys.iter().all(|key| !stderr.contains(key)), "{stderr}");
    }
}

fn fresh_key() -> String {
    let dir = temp_dir();
    write_example_files(&dir);
    fs::read_to_string(dir.join("tickets")).unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn openssl_goes_on_and_only_where_it_began() {
    let site = Site::new();
    let palisade = site.start("tls = true", "");
    let address = palisade.address("https");
    let session = site.dir().join("session").display().to_string();
    let key = site.dir().join("good.key").display().to_string();
    let certificate = site.dir().join("good.pem").display().to_string();
    let shown = ["-cert", &certificate, "-key", &key];
    for version in ["-tls1_2", "-tls1_3"] {
        let out = openssl(
            &site,
            address,
            "protected.test",
            &[&shown[..], &[version, "-sess_out", &session]].concat(),
        );
        assert!(out.contains("200 OK") && !is_resumed(&out), "{out}");
        // The session alone, without the certificate, is enough for the same host.
        let out = openssl(&site, address, "protected.test", &[version, "-sess_in", &session]);
        assert!(out.contains("200 OK") && is_resumed(&out), "{out}");
        for other in ["a.wild.test", "open.test"] {
            let out = openssl(&site, address, other, &[version, "-sess_in", &session]);
            assert!(!is_resumed(&out), "{out}");
            assert_eq!(out.contains("200 OK"), other == "open.test", "{out}");
        }
    }
}

/// From one ticket to the next, a client would never be verified again. What is told of the new tickets' life shows
/// that they end with the session that they go on with.
#[test]
fn tickets_of_a_resumed_session_are_not_good_for_longer() {
    let site = Site::new();
    let palisade = site.start("tls = true", "");
    let address = palisade.address("https");
    let session = site.dir().join("session").display().to_string();
    let [certificate, key] = ["good.pem", "good.key"].map(|file| site.dir().join(file).display().to_string());
    let shown = ["-cert", &certificate, "-key", &key];
    for (host, whole) in [("protected.test", 3600), ("open.test", 12 * 3600)] {
        for version in ["-tls1_2", "-tls1_3"] {
            let first = [&shown[..], &[version, "-sess_out", &session]].concat();
            let out = openssl(&site, address, host, &first);
            assert_eq!((is_resumed(&out), told_lifetime(&out)), (false, whole), "{host} {version}: {out}");
            // Each goes on with the ticket of the one before, until a second has passed.
            let next = [version, "-sess_in", &session, "-sess_out", &session];
            let go_on = || {
                let out = openssl(&site, address, host, &next);
                assert!(is_resumed(&out), "{host} {version}: {out}");
                told_lifetime(&out)
            };
            if host == "protected.test" {
                poll_until(SOON, "a shorter life", || go_on() < whole);
            } else {
                // So much is left of the day.
                assert_eq!(go_on(), whole);
            }
        }
    }
}

/// Seconds.
fn told_lifetime(said: &str) -> u32 {
    let mut lines =
        said.lines().filter_map(|line| line.trim().strip_prefix("TLS session ticket lifetime hint: "));
    let last = lines.next_back().unwrap_or_else(|| panic!("no ticket: {said}"));
    last.split(' ').next().and_then(|seconds| seconds.parse().ok()).expect("a number")
}

/// rustls keeps the client's certificate in the ticket, and does not look at it again.
#[test]
fn no_session_outlives_the_certificate_of_its_client() {
    let site = Site::new();
    let palisade = site.start("tls = true", "");
    for version in BOTH {
        let now = SystemTime::now();
        let life = Duration::from_secs(6);
        let leaf = Leaf::client("short").valid(now - Duration::from_secs(3600), now + life);
        let client = site.client("a.wild.test").only(version).certificate(&site.client_ca.issue(leaf));
        let client = client.resuming();
        assert_eq!(ask_of(&palisade, &client, "a.wild.test").unwrap(), (200, false));
        assert_eq!(ask_of(&palisade, &client, "a.wild.test").unwrap(), (200, true));
        poll_until(SOON, "the session to end", || {
            let asked = ask_of(&palisade, &client, "a.wild.test");
            assert!(asked.is_err() || matches!(asked, Ok((200, true))), "{asked:?}");
            asked.is_err()
        });
        assert!(now.elapsed().unwrap() >= life, "it ended before the certificate did");
    }
    assert!(palisade.stderr().contains("the client's certificate has ended"), "{}", palisade.stderr());
}

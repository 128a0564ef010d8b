//! Certificates that change while they are used.

use std::time::Duration;

use tokio::time::Instant;

use super::*;

const DAY: Seconds = 86_400;

/// What a client gets by the handshakes that were built once.
fn leaf(handshakes: &Handshakes, ca: &Issuer) -> CertificateDer<'static> {
    Client::new(ca, rustls::ALL_VERSIONS).shake(handshakes, "a.test").unwrap().leaf
}

#[test]
fn a_new_pair_is_used_by_the_next_handshake_and_a_broken_one_is_not() {
    let (folder, ca) = (Folder::new(), authority("ca"));
    let (old, new) = (issue(&ca, &Wanted::default()), issue(&ca, &Wanted::default()));
    let tls = TlsOptions::default();
    let store = store(&[old.write(&folder, "a")], &tls, &[]);
    let handshakes = handshakes(&store, &tls, &[]);
    let (start, clock) = (Instant::now(), now());
    assert_eq!(leaf(&handshakes, &ca), old.der);
    // Half of it.
    folder.write("a.pem", &new.pem);
    store.look(start, clock);
    assert_eq!(leaf(&handshakes, &ca), old.der);
    let trouble = store.standing()[0].trouble.clone().unwrap();
    assert!(trouble.contains("does not belong to the certificate"), "{trouble}");
    // The other half.
    folder.write("a.key", new.key.serialize_pem());
    store.look(start + Duration::from_secs(1), clock);
    assert_eq!(leaf(&handshakes, &ca), new.der);
    assert_eq!(store.standing()[0].trouble, None);
    for broken in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n", "words"] {
        folder.write("a.pem", broken);
        store.look(start + Duration::from_secs(2), clock);
        assert_eq!(leaf(&handshakes, &ca), new.der, "{broken}");
        assert!(store.standing()[0].trouble.is_some());
    }
    fs::remove_file(folder.path("a.pem")).unwrap();
    store.look(start + Duration::from_secs(3), clock);
    assert_eq!(leaf(&handshakes, &ca), new.der);
    folder.write("a.pem", &new.pem);
    store.look(start + Duration::from_secs(4), clock);
    assert_eq!(store.standing()[0].trouble, None);
}

/// As Kubernetes does it: the files are links into a folder that is itself a link.
#[test]
fn a_swapped_link_brings_both_files_at_once() {
    let (folder, ca) = (Folder::new(), authority("ca"));
    let (old, new) = (issue(&ca, &Wanted::default()), issue(&ca, &Wanted::default()));
    for (version, issued) in [("v1", &old), ("v2", &new)] {
        fs::create_dir(folder.path(version)).unwrap();
        folder.write(&format!("{version}/tls.crt"), &issued.pem);
        folder.write(&format!("{version}/tls.key"), issued.key.serialize_pem());
    }
    let point = |version: &str| {
        std::os::unix::fs::symlink(version, folder.path("..new")).unwrap();
        fs::rename(folder.path("..new"), folder.path("..data")).unwrap();
    };
    point("v1");
    for file in ["tls.crt", "tls.key"] {
        std::os::unix::fs::symlink(format!("..data/{file}"), folder.path(file)).unwrap();
    }
    let options = CertificateOptions {
        name: "a".to_owned(),
        certificate: folder.path("tls.crt"),
        key: folder.path("tls.key"),
        ocsp: None,
        default: false,
    };
    let tls = TlsOptions::default();
    let store = store(&[options], &tls, &[]);
    let handshakes = handshakes(&store, &tls, &[]);
    assert_eq!(leaf(&handshakes, &ca), old.der);
    point("v2");
    store.look(Instant::now(), now());
    assert_eq!(leaf(&handshakes, &ca), new.der);
}

#[test]
fn a_look_that_began_before_a_reload_changes_nothing() {
    let (folder, ca) = (Folder::new(), authority("ca"));
    let (old, new) = (issue(&ca, &Wanted::default()), issue(&ca, &Wanted::default()));
    let tls = TlsOptions::default();
    let options = [old.write(&folder, "a")];
    let store = store(&options, &tls, &[]);
    let watched = store.watched();
    let found = watched.look();
    new.write(&folder, "a");
    store.adopt(&material(&options, &tls, &[]));
    store.note(&watched, found, Instant::now(), now());
    assert_eq!(leaf(&handshakes(&store, &tls, &[]), &ca), new.der);
}

#[test]
fn an_operator_hears_once_of_each_stage_and_not_again_after_a_reload() {
    let (folder, ca) = (Folder::new(), authority("ca"));
    let issued = issue(&ca, &Wanted { valid: (-60, 40), ..Wanted::default() });
    let tls = TlsOptions::default();
    let options = [issued.write(&folder, "a")];
    let store = store(&options, &tls, &[]);
    let clock = now() + 3600;
    let told = |days: Seconds| store.expiries(clock + days * DAY);
    assert_eq!(told(5), [] as [&str; 0]);
    assert_eq!(told(15), ["certificate a: it ends in 24 days"]);
    assert_eq!(told(16), [] as [&str; 0]);
    store.adopt(&material(&options, &tls, &[]));
    assert_eq!(told(17), [] as [&str; 0], "a reload says nothing new");
    assert_eq!(told(34), ["certificate a: it ends in 5 days"]);
    assert_eq!(told(41), ["certificate a: it ended 1 day ago and is used all the same"]);
    assert_eq!(told(42), [] as [&str; 0]);
    // Another certificate is another matter.
    issue(&ca, &Wanted { valid: (-60, 40), ..Wanted::default() }).write(&folder, "a");
    store.look(Instant::now(), clock);
    assert_eq!(told(15), ["certificate a: it ends in 24 days"]);
}

#[test]
fn standing_tells_what_there_is() {
    let (folder, ca) = (Folder::new(), authority("ca"));
    let issued = issue(&ca, &Wanted { names: &["a.test", "*.a.test"], ..Wanted::default() });
    let store = store(&[issued.write(&folder, "app")], &TlsOptions::default(), &[]);
    let standing = store.standing();
    let CertificateStanding { name, names, issuer, seconds_left, trouble } = &standing[0];
    assert_eq!((name.as_str(), issuer.as_str(), trouble), ("app", "CN=ca", &None));
    assert_eq!(names, &["*.a.test", "a.test"]);
    assert!((79 * DAY..=80 * DAY).contains(seconds_left), "{seconds_left}");
    assert!(!format!("{store:?}").to_lowercase().contains("privatekey"));
}

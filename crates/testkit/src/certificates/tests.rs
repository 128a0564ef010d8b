//! What was made, read by openssl: a reader that is not ours.

use std::process::Command;

use super::*;
use crate::temp_dir;

fn openssl(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(arguments).output().expect("openssl runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[track_caller]
fn describe(file: &Path) -> String {
    let (done, text) = openssl(&["x509", "-in", file.to_str().unwrap(), "-noout", "-text"]);
    assert!(done, "{text}");
    text
}

#[test]
fn says_what_was_asked_for() {
    let (dir, authority) = (temp_dir(), Authority::new("Root"));
    let server = authority.issue(Leaf::server(&["a.test", "*.b.test", "127.0.0.1"])).write_to(&dir, "server");
    let text = describe(&server.certificate);
    for part in ["CN = a.test", "DNS:*.b.test", "IP Address:127.0.0.1", "id-ecPublicKey", "Server Auth"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let client = authority.issue(Leaf::client("kim").uri("spiffe://test/app").email("kim@a.test").rsa());
    let text = describe(&client.write_to(&dir, "client").certificate);
    for part in ["CN = kim", "URI:spiffe://test/app", "email:kim@a.test", "(2048 bit)", "Client Auth"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn is_believed_only_by_those_who_know_the_root_in_time_and_unless_revoked() {
    let (dir, root, stranger) = (temp_dir(), Authority::new("Root"), Authority::new("Root"));
    let below = root.intermediate("Below");
    let ca = root.write_to(&dir, "root").to_str().unwrap().to_string();
    let other = stranger.write_to(&dir, "stranger").to_str().unwrap().to_string();
    let file = |name: &str, certificate: &Certificate| {
        certificate.write_to(&dir, name).certificate.to_str().unwrap().to_string()
    };
    let (good, bad) = (root.issue(Leaf::server(&["a.test"])), root.issue(Leaf::server(&["a.test"])));
    let (good_file, bad_file) = (file("good", &good), file("bad", &bad));
    let expired = file("expired", &root.issue(Leaf::server(&["a.test"]).expired()));
    let early = file("early", &root.issue(Leaf::server(&["a.test"]).not_yet_valid()));
    let chained = file("chained", &below.issue(Leaf::server(&["a.test"])));
    let list = write(&dir, "list.pem", &root.revocations(&[&bad])).to_str().unwrap().to_string();

    let verify = |words: &[&str]| openssl(&[&["verify"], words].concat());
    assert!(verify(&["-CAfile", &ca, &good_file]).0);
    assert!(verify(&["-CAfile", &ca, "-untrusted", &chained, &chained]).0);
    assert!(!verify(&["-CAfile", &ca, &chained]).0, "without its intermediate");
    assert!(!verify(&["-CAfile", &other, &good_file]).0, "a root of the same name");
    assert!(verify(&["-CAfile", &ca, &expired]).1.contains("expired"));
    assert!(verify(&["-CAfile", &ca, &early]).1.contains("not yet valid"));
    assert!(verify(&["-CAfile", &ca, "-crl_check", "-CRLfile", &list, &good_file]).0);
    assert!(verify(&["-CAfile", &ca, "-crl_check", "-CRLfile", &list, &bad_file]).1.contains("revoked"));
}

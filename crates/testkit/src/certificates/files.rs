//! The files that configurations in tests and documents name, made anew each time: no private key is kept.

use std::fs;
use std::path::Path;

use rcgen::KeyPair;

use super::{Authority, DAY, HOUR, Leaf};
use std::time::SystemTime;

/// Writes `app.pem` and `app.key` for `app.example.com` and `*.app.example.com`, `app.ocsp`, the authority's
/// `ca.pem` and its list `revoked.pem`, and `tickets` with two keys.
#[track_caller]
pub fn write_example_files(dir: &Path) {
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        fs::write(&path, bytes).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
    };
    let authority = Authority::new("Example CA");
    authority.write_to(dir, "ca");
    let now = SystemTime::now();
    let leaf = Leaf::server(&["app.example.com", "*.app.example.com"]);
    authority.issue(leaf.valid(now - HOUR, now + 250 * DAY)).write_to(dir, "app");
    write("revoked.pem", authority.revocations(&[]).as_bytes());
    // The beginning of a good answer (RFC 6960 section 4.2.1), which is as much as is looked at.
    write("app.ocsp", &[0x30, 3, 0x0a, 1, 0]);
    write("tickets", format!("{}\n{}\n", random_base64(), random_base64()).as_bytes());
}

/// Of 48 bytes.
fn random_base64() -> String {
    let pem = KeyPair::generate().expect("make a key").serialize_pem();
    pem.lines().nth(2).expect("a key of three lines").to_string()
}

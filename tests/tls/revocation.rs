//! Lists of revoked certificates that change while the proxy runs.

use std::fs;

use testkit::{Client, TlsVersion};

use crate::site::reload;
use crate::{Site, ask_of};

#[test]
fn a_list_that_is_gone_to_nothing_lets_nobody_in() {
    let site = Site::new();
    let palisade = site.start("tls = true", "");
    let list = site.dir().join("revoked.pem");
    let whole = fs::read_to_string(&list).unwrap();
    let revoked = site.client("protected.test").certificate(&site.revoked);
    let ask_revoked = || ask_of(&palisade, &revoked, "protected.test");
    assert!(ask_revoked().is_err());
    for content in ["", "\n# none\n", &whole[..whole.len() / 2]] {
        fs::write(&list, content).unwrap();
        let mut operator = Client::connect(palisade.listener("admin-socket"));
        let answer = operator.request("POST", "/reload", &[], b"");
        assert!(answer.status >= 400 && answer.text().contains("revoked.pem"), "{}", answer.text());
        assert!(ask_revoked().is_err(), "after {content:?}");
        let good = ask_of(&palisade, &site.known_client("protected.test"), "protected.test");
        assert_eq!(good.unwrap(), (200, false), "after {content:?}");
    }
}

/// A list with nobody on it is a list. Who was let in by it does not stay in by his session.
#[test]
fn a_list_may_become_empty_and_full_again() {
    let site = Site::new();
    let palisade = site.start("tls = true", "");
    let list = site.dir().join("revoked.pem");
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let revoked = site.client("protected.test").certificate(&site.revoked).only(version).resuming();
        let ask_revoked = || ask_of(&palisade, &revoked, "protected.test");
        assert!(ask_revoked().is_err());
        fs::write(&list, site.client_ca.revocations(&[])).unwrap();
        reload(&palisade);
        assert_eq!(ask_revoked().unwrap(), (200, false), "{version:?}");
        assert_eq!(ask_revoked().unwrap(), (200, true), "{version:?}");
        fs::write(&list, site.client_ca.revocations(&[&site.revoked])).unwrap();
        reload(&palisade);
        assert!(ask_revoked().is_err(), "{version:?}");
    }
}

//! Sessions that go on with an earlier one.

use testkit::{
    Authority, Behaviour, Leaf, Origin, SOON, Script, TlsServer, TlsVersion, poll_until, temp_dir,
};

use crate::stage::{event, expect_good, proxy};

#[test]
fn the_next_handshake_is_a_shorter_one() {
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let (authority, dir) = (Authority::new("CA"), temp_dir());
        let certificate = authority.issue(Leaf::server(&["127.0.0.1"]));
        let tls = TlsServer::only(&certificate, version).resuming();
        let once = |request: &testkit::RecordedRequest, _: usize| Script::echo(request).close();
        let origin = Origin::serve_tls(tls, Behaviour::Scripted(Box::new(once)));
        let ca = authority.write_to(&dir, "ca");
        let palisade = proxy(&origin.address(), &format!("tls = {{ ca = \"{}\" }}", ca.display()));
        for number in 1..=4 {
            expect_good(&palisade, 1);
            poll_until(SOON, "the connection is gone", || origin.open_connections() == 0);
            assert_eq!(origin.handshakes().len(), number);
        }
        let resumed: Vec<bool> =
            origin.handshakes().iter().map(|one| one.outcome.as_ref().is_ok_and(|own| own.resumed)).collect();
        assert_eq!(resumed, [false, true, true, true], "{version:?}");
        assert_eq!((event(&palisade, "handshake"), event(&palisade, "handshake_resumed")), (1.0, 3.0));
    }
}

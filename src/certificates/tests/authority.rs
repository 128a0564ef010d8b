//! Client certificates, and tickets of sessions in which one was shown.

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams};
use rustls::version::{TLS12, TLS13};

use super::*;

const NAME: &str = "a.test";

/// A list of the authority, valid until so many days from now.
fn list(ca: &Issuer, revoked: &[u64], days: i64) -> rcgen::CertificateRevocationList {
    let at = |days: i64| {
        let then = now() + days * 86_400;
        rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(then as u64)
    };
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: at(-3),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: at(-4),
        next_update: at(days),
        crl_number: SerialNumber::from(1u64),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(ca).unwrap()
}

struct Site {
    folder: Folder,
    ca: Issuer,
    certificate: CertificateOptions,
}

impl Site {
    fn new() -> Site {
        let (folder, ca) = (Folder::new(), authority("server ca"));
        let names = &["a.test", "b.test"][..];
        let certificate = issue(&ca, &Wanted { names, ..Wanted::default() }).write(&folder, "server");
        Site { folder, ca, certificate }
    }

    fn handshakes(&self, auth: &ClientAuthOptions) -> Handshakes {
        let tls = TlsOptions { client_auth: Some(auth.clone()), ..TlsOptions::default() };
        handshakes(&store(std::slice::from_ref(&self.certificate), &tls, &[]), &tls, &[])
    }
}

#[test]
fn only_certificates_of_the_named_authorities_are_taken() {
    let (site, clients, others) = (Site::new(), authority("clients"), authority("others"));
    let auth = client_auth(&site.folder.write("clients.pem", clients.pem()));
    let required = site.handshakes(&auth);
    let optional = site.handshakes(&ClientAuthOptions { demand: ClientDemand::Optional, ..auth });
    let of = |ca: &Issuer, valid| issue(ca, &Wanted { names: &["client.test"], valid, ..Wanted::default() });
    let (good, wrong, expired) = (of(&clients, (-1, 1)), of(&others, (-1, 1)), of(&clients, (-9, -1)));
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let with = |own| Client::with(&site.ca, versions, own);
        let shaken = with(Some(&good)).shake(&required, NAME).unwrap();
        assert!(shaken.shown);
        assert!(with(Some(&good)).shake(&optional, NAME).unwrap().shown);
        assert!(!with(None).shake(&optional, NAME).unwrap().shown);
        for (own, handshakes, why) in [
            (None, &required, "NoCertificatesPresented"),
            (Some(&wrong), &required, "UnknownIssuer"),
            (Some(&wrong), &optional, "UnknownIssuer"),
            (Some(&expired), &required, "certificate expired"),
        ] {
            let refused = with(own).shake(handshakes, NAME).unwrap_err();
            let fits = refused.contains(why) || (own.is_none() && refused.contains("no certificates"));
            assert!(refused.starts_with("server") && fits, "{why}: {refused}");
        }
    }
}

#[test]
fn what_was_revoked_or_cannot_be_told_is_refused() {
    let (site, clients, others) = (Site::new(), authority("clients"), authority("others"));
    let ca = site.folder.write("clients.pem", clients.pem() + &others.pem());
    let revoked = site.folder.write("revoked.pem", list(&clients, &[8], 5).pem().unwrap());
    let der = site.folder.write("revoked.der", list(&clients, &[8], 5).der());
    let old = site.folder.write("old.pem", list(&clients, &[8], -1).pem().unwrap());
    let of = |ca: &Issuer, serial| issue(ca, &Wanted { names: &["c.test"], serial, ..Wanted::default() });
    let (good, gone, other) = (of(&clients, 7), of(&clients, 8), of(&others, 7));
    for (crl, allow_unknown_revocation, own, expected) in [
        (&revoked, false, &good, ""),
        (&revoked, false, &gone, "Revoked"),
        (&revoked, true, &gone, "Revoked"),
        (&der, false, &good, ""),
        (&der, false, &gone, "Revoked"),
        // An authority without a list.
        (&revoked, false, &other, "UnknownRevocationStatus"),
        (&revoked, true, &other, ""),
        // A list that is out of date.
        (&old, false, &good, "revocation list expired"),
        (&old, true, &good, ""),
        (&old, true, &gone, "Revoked"),
    ] {
        let auth = ClientAuthOptions { crl: Some(crl.clone()), allow_unknown_revocation, ..client_auth(&ca) };
        let told = Client::with_certificate(&site.ca, own).shake(&site.handshakes(&auth), NAME);
        let told = told.err().unwrap_or_default();
        let case = format!("{} {allow_unknown_revocation} {expected}: {told}", crl.display());
        assert_eq!(told.is_empty(), expected.is_empty(), "{case}");
        assert!(told.contains(expected), "{case}");
    }
}

#[test]
fn a_session_goes_on_over_reloads_and_other_workers() {
    let site = Site::new();
    let tls = TlsOptions::default();
    let certificates = [site.certificate.clone()];
    let store = store(&certificates, &tls, &[]);
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let client = Client::new(&site.ca, versions);
        assert!(!client.shake(&handshakes(&store, &tls, &[]), NAME).unwrap().resumed);
        store.adopt(&material(&certificates, &tls, &[]));
        assert!(client.shake(&handshakes(&store, &tls, &[]), NAME).unwrap().resumed);
        // Another process has other keys.
        let restarted = super::store(&certificates, &tls, &[]);
        assert!(!client.shake(&handshakes(&restarted, &tls, &[]), NAME).unwrap().resumed);
    }
}

#[test]
fn machines_with_the_same_ticket_keys_resume_each_other() {
    let site = Site::new();
    let keys = site.folder.write("tickets", "lSVUiIJXZ3mJeu06BTjtEJr1Wq4lY9R4ys6HdBQmTsg=\n");
    let tls = TlsOptions { ticket_keys: Some(keys.clone()), ..TlsOptions::default() };
    let certificates = [site.certificate.clone()];
    let (one, two) = (store(&certificates, &tls, &[]), store(&certificates, &tls, &[]));
    let client = Client::new(&site.ca, rustls::ALL_VERSIONS);
    assert!(!client.shake(&handshakes(&one, &tls, &[]), NAME).unwrap().resumed);
    let second = handshakes(&two, &tls, &[]);
    assert!(client.shake(&second, NAME).unwrap().resumed);
    // The file is replaced, and both keys are in it: the second decrypts, the first encrypts.
    fs::write(
        &keys,
        "nSVUiIJXZ3mJeu06BTjtEJr1Wq4lY9R4ys6HdBQmTsg=\nlSVUiIJXZ3mJeu06BTjtEJr1Wq4lY9R4ys6HdBQmTsg=\n",
    )
    .unwrap();
    two.look(tokio::time::Instant::now(), now());
    assert!(client.shake(&second, NAME).unwrap().resumed);
    fs::write(&keys, "nSVUiIJXZ3mJeu06BTjtEJr1Wq4lY9R4ys6HdBQmTsg=\n").unwrap();
    two.look(tokio::time::Instant::now(), now());
    assert!(client.shake(&second, NAME).unwrap().resumed, "its ticket is of the first key by now");
    fs::write(&keys, "oSVUiIJXZ3mJeu06BTjtEJr1Wq4lY9R4ys6HdBQmTsg=\n").unwrap();
    two.look(tokio::time::Instant::now(), now());
    assert!(!client.shake(&second, NAME).unwrap().resumed);
}

/// A client that has shown a certificate does not come by its ticket to what another policy protects.
#[test]
fn a_ticket_holds_under_its_policy_only() {
    let (site, clients, others) = (Site::new(), authority("clients"), authority("others"));
    let certificates = [site.certificate.clone()];
    let own = issue(&clients, &Wanted { names: &["client.test"], ..Wanted::default() });
    let both = site.folder.write("both.pem", clients.pem() + &others.pem());
    let one = site.folder.write("one.pem", clients.pem());
    let crl = site.folder.write("revoked.pem", list(&clients, &[1], 5).pem().unwrap());
    let with = |auth| TlsOptions { client_auth: auth, ..TlsOptions::default() };
    let strict = with(Some(client_auth(&one)));
    let optional = ClientAuthOptions { demand: ClientDemand::Optional, ..client_auth(&one) };
    let revoking = ClientAuthOptions { crl: Some(crl), ..client_auth(&one) };
    let newer = TlsOptions { min_version: TlsVersion::V1_3, ..strict.clone() };
    let all = [
        with(None),
        strict.clone(),
        with(Some(optional)),
        with(Some(client_auth(&both))),
        with(Some(revoking)),
        newer,
    ];
    let store = Arc::new(Store::default());
    let mut whole = Material::default();
    for tls in &all {
        let more = material(&certificates, tls, &[]);
        whole.certificates = more.certificates;
        whole.authorities.extend(more.authorities);
    }
    store.adopt(&whole);
    for versions in [&[&TLS12][..], &[&TLS13]] {
        for (from, first) in all.iter().enumerate() {
            for (to, second) in all.iter().enumerate() {
                if versions[0].version == rustls::ProtocolVersion::TLSv1_2 && (from == 5 || to == 5) {
                    continue;
                }
                let client = Client::with(&site.ca, versions, Some(&own));
                assert!(!client.shake(&handshakes(&store, first, &[]), NAME).unwrap().resumed);
                let shaken = client.shake(&handshakes(&store, second, &[]), NAME).unwrap();
                assert_eq!(shaken.resumed, from == to, "{from} -> {to}");
                assert_eq!(shaken.shown, to != 0, "{from} -> {to}");
            }
        }
    }
}

#[test]
fn other_authorities_behind_the_same_name_end_tickets_and_marks() {
    let (site, clients, others) = (Site::new(), authority("clients"), authority("others"));
    let certificates = [site.certificate.clone()];
    let ca = site.folder.write("clients.pem", clients.pem() + &others.pem());
    let hosts = [rule(NAME, HostTlsOptions { client_auth: Some(client_auth(&ca)), min_version: None })];
    let tls = TlsOptions::default();
    let store = store(&certificates, &tls, &hosts);
    let own = issue(&clients, &Wanted { names: &["client.test"], ..Wanted::default() });
    let client = Client::with_certificate(&site.ca, &own);
    let before = handshakes(&store, &tls, &hosts);
    assert!(!client.shake(&before, NAME).unwrap().resumed);
    assert!(client.shake(&before, NAME).unwrap().resumed);
    // Nothing has changed.
    store.look(tokio::time::Instant::now(), now());
    let same = handshakes(&store, &tls, &hosts);
    assert_eq!(same.choose(Some(NAME)).unwrap().mark, before.choose(Some(NAME)).unwrap().mark);
    assert!(client.shake(&same, NAME).unwrap().resumed);
    // A broken file: nothing changes, and nobody else gets in.
    fs::write(&ca, "").unwrap();
    store.look(tokio::time::Instant::now(), now());
    assert!(client.shake(&handshakes(&store, &tls, &hosts), NAME).unwrap().resumed);
    assert_eq!(store.troubles(), [format!("`{}` is empty", ca.display())]);
    fs::write(&ca, others.pem()).unwrap();
    store.look(tokio::time::Instant::now(), now());
    let after = handshakes(&store, &tls, &hosts);
    assert_ne!(after.choose(Some(NAME)).unwrap().mark, before.choose(Some(NAME)).unwrap().mark);
    let refused = client.shake(&after, NAME).unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
}

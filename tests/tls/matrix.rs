//! Every name in a handshake with every host in a request: what a host protects is reached only by those whose
//! handshake was made for it.

use std::collections::BTreeSet;
use std::io;

use testkit::{Authority, Certificate, Client, H2Client, Leaf, Palisade, TlsClient, TlsVersion};

use crate::Site;

/// What a host asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    Nothing,
    Certificate,
    NotRevoked,
}

/// What a client shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    Good,
    OfOthers,
    Expired,
    Revoked,
}

const SHOWN: [Shown; 5] = [Shown::Nothing, Shown::Good, Shown::OfOthers, Shown::Expired, Shown::Revoked];

impl Demand {
    fn is_met_by(self, shown: Shown) -> bool {
        match self {
            Demand::Nothing => true,
            Demand::Certificate => matches!(shown, Shown::Good | Shown::Revoked),
            Demand::NotRevoked => shown == Shown::Good,
        }
    }
}

/// Names in a handshake, and the demand that they meet. An address is no name, so it is not sent.
const NAMES: [(&str, Demand); 6] = [
    ("open.test", Demand::Nothing),
    ("", Demand::Nothing),
    ("127.0.0.1", Demand::Nothing),
    ("unknown.test", Demand::Nothing),
    ("protected.test", Demand::NotRevoked),
    ("a.wild.test", Demand::Certificate),
];

const HOSTS: [(&str, Demand); 6] = [
    ("open.test", Demand::Nothing),
    ("unknown.test:443", Demand::Nothing),
    ("protected.test", Demand::NotRevoked),
    ("PROTECTED.Test.:443", Demand::NotRevoked),
    ("b.wild.test", Demand::Certificate),
    ("x.y.Wild.test.", Demand::Certificate),
];

/// How the first message comes.
#[derive(Clone, Copy, Debug)]
enum Hello {
    Whole,
    InRecords,
    ByteByByte,
}

struct Matrix {
    site: Site,
    palisade: Palisade,
    expired: Certificate,
    of_others: Certificate,
    /// Targets that the origin should have seen.
    expected: BTreeSet<String>,
    count: usize,
}

impl Matrix {
    fn new() -> Matrix {
        let site = Site::new();
        let palisade = site.start("tls = true", "");
        let expired = site.client_ca.issue(Leaf::client("expired").expired());
        let of_others = Authority::new("clients").issue(Leaf::client("good"));
        Matrix { site, palisade, expired, of_others, expected: BTreeSet::new(), count: 0 }
    }

    fn client(&self, name: &str, shown: Shown, hello: Hello) -> TlsClient {
        let client = match name {
            "" => TlsClient::unverified("open.test").without_sni(),
            name => TlsClient::unverified(name),
        };
        let client = match shown {
            Shown::Nothing => client,
            Shown::Good => client.certificate(&self.site.good),
            Shown::OfOthers => client.certificate(&self.of_others),
            Shown::Expired => client.certificate(&self.expired),
            Shown::Revoked => client.certificate(&self.site.revoked),
        };
        match hello {
            Hello::Whole => client,
            Hello::InRecords => client.records_of(150),
            Hello::ByteByByte => client.byte_by_byte(),
        }
    }

    /// A target of its own, so that the origin's record tells whether it was reached.
    fn target(&mut self, reaches: bool) -> String {
        self.count += 1;
        let target = format!("/{}", self.count);
        if reaches {
            self.expected.insert(target.clone());
        }
        target
    }

    /// Asks for each host on a connection of its own, after `first` when there is one.
    fn http1(
        &mut self,
        tls: &TlsClient,
        under: Demand,
        first: Option<&str>,
        resumed: bool,
    ) -> io::Result<()> {
        for (host, demand) in HOSTS {
            let expected = if demand == under { 200 } else { 421 };
            let mut client = Client::try_connect_tls(self.palisade.address("https"), tls)?;
            if let Some(first) = first {
                let target = self.target(true);
                assert_eq!(get(&mut client, &target, first)?, 200, "{first}");
            }
            let target = self.target(expected == 200);
            let status = get(&mut client, &target, host)?;
            assert_eq!(status, expected, "{host} on a connection with {under:?} after {first:?}");
            assert_eq!(client.tls().resumed, resumed);
        }
        Ok(())
    }

    /// Asks for all hosts on one connection.
    fn http2(&mut self, tls: &TlsClient, under: Demand) {
        let mut client = H2Client::connect_tls(self.palisade.address("https"), tls);
        for (host, demand) in HOSTS {
            let expected = if demand == under { 200 } else { 421 };
            let target = self.target(expected == 200);
            let fields = [(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", &target)];
            let stream = client.open_with(&fields, true);
            assert_eq!(client.response(stream).status, expected, "{host} with {under:?}");
        }
    }

    /// One kind of client, with whole handshakes and resumed ones.
    fn cell(&mut self, (name, under): (&str, Demand), tls: &TlsClient, shown: Shown) {
        if !under.is_met_by(shown) {
            let refused = self.http1(tls, under, None, false);
            assert!(refused.is_err(), "{name} with {shown:?}");
            return;
        }
        let own = HOSTS.iter().find(|(_, demand)| *demand == under).map(|(host, _)| *host);
        self.http1(tls, under, None, false).unwrap_or_else(|error| panic!("{name} with {shown:?}: {error}"));
        self.http2(tls, under);
        let resuming = tls.clone().resuming();
        let mut client = Client::connect_tls(self.palisade.address("https"), &resuming);
        let target = self.target(true);
        // With TLS 1.3 the tickets come before the answer.
        assert_eq!(get(&mut client, &target, own.unwrap()).unwrap(), 200);
        self.http1(&resuming, under, own, true)
            .unwrap_or_else(|error| panic!("{name} with {shown:?}: {error}"));
        self.http2(&resuming, under);
    }

    fn judge(self) {
        let seen: BTreeSet<String> =
            self.site.origin.requests().into_iter().map(|request| request.target).collect();
        assert_eq!(seen, self.expected, "the origin saw other requests than it should");
        assert!(seen.len() > 100, "only {} requests came through", seen.len());
        assert_eq!(self.site.origin.violations(), [""; 0]);
    }
}

fn get(client: &mut Client, target: &str, host: &str) -> io::Result<u16> {
    client.try_send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))?;
    Ok(client.try_read_response()?.status)
}

#[test]
fn only_a_handshake_for_a_host_leads_to_it() {
    let mut matrix = Matrix::new();
    for version in [TlsVersion::V13, TlsVersion::V12] {
        for name in NAMES {
            for shown in SHOWN {
                let tls = matrix.client(name.0, shown, Hello::Whole).only(version);
                matrix.cell(name, &tls, shown);
            }
        }
    }
    matrix.judge();
}

#[test]
fn a_hello_in_pieces_asks_for_the_same() {
    let mut matrix = Matrix::new();
    for name in NAMES {
        for hello in [Hello::InRecords, Hello::ByteByByte] {
            for shown in [Shown::Nothing, Shown::Good] {
                let tls = matrix.client(name.0, shown, hello);
                matrix.cell(name, &tls, shown);
            }
        }
    }
    matrix.judge();
}

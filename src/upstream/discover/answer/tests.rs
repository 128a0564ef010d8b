use std::str::FromStr;

use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, SRV};

use super::*;

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

fn a(owner: &str, address: &str, ttl: u32) -> Record {
    let data = match address.parse().unwrap() {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    Record::from_rdata(name(owner), ttl, data)
}

fn alias(owner: &str, target: &str, ttl: u32) -> Record {
    Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(target))))
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn found(texts: &[&str], seconds: u64) -> Reply<IpAddr> {
    Reply::Records(ips(texts), Duration::from_secs(seconds))
}

#[test]
fn only_records_of_the_name_or_of_its_aliases_count() {
    let asked = name("app.test.");
    let nothing = Reply::Nothing("the answer has no usable record");
    for (records, expected) in [
        (
            vec![a("app.test.", "10.0.0.1", 9), a("APP.test.", "10.0.0.2", 5)],
            found(&["10.0.0.1", "10.0.0.2"], 5),
        ),
        (vec![a("other.test.", "10.0.0.1", 9)], nothing.clone()),
        (vec![alias("app.test.", "b.test.", 3), a("b.test.", "10.0.0.1", 9)], found(&["10.0.0.1"], 3)),
        // Not in order, and one that belongs to nobody.
        (
            vec![
                a("c.test.", "10.0.0.3", 9),
                alias("b.test.", "c.test.", 9),
                alias("app.test.", "b.test.", 9),
                a("d.test.", "10.0.0.4", 9),
            ],
            found(&["10.0.0.3"], 9),
        ),
        (vec![alias("app.test.", "b.test.", 9), alias("b.test.", "app.test.", 9)], nothing.clone()),
        (vec![], nothing.clone()),
    ] {
        assert_eq!(addresses(&asked, &records), expected, "{records:?}");
    }
}

#[test]
fn addresses_that_lead_nowhere_are_left_out() {
    let asked = name("app.test.");
    let records = ["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1", "::ffff:10.0.0.1", "fd00::1"]
        .map(|address| a("app.test.", address, 9));
    assert_eq!(addresses(&asked, &records), found(&["10.0.0.1", "fd00::1"], 9));
}

#[test]
fn services_need_a_port_and_the_name_of_a_host() {
    let asked = name("_http._tcp.app.test.");
    let service = |port, target: &str| {
        Record::from_rdata(
            asked.clone(),
            7,
            RData::SRV(SRV::new(
                1,
                2,
                port,
                Name::from_labels(target.split('.').map(str::as_bytes)).unwrap(),
            )),
        )
    };
    let root = Record::from_rdata(asked.clone(), 7, RData::SRV(SRV::new(0, 0, 80, Name::root())));
    let records = vec![service(0, "a.test"), service(80, "B.test"), service(80, "a b.test"), root];
    let good = Service { priority: 1, weight: 2, port: 80, target: "b.test".to_string() };
    assert_eq!(services(&asked, &records), Reply::Records(vec![good], Duration::from_secs(7)));
}

#[test]
fn one_kind_of_address_is_enough() {
    let known = ips(&["10.0.0.9", "fd00::9"]);
    let answer = both(Some(found(&["10.0.0.1"], 9)), Some(Reply::Nothing("empty")), &known);
    assert_eq!((answer.fresh, answer.stale, answer.trouble), (ips(&["10.0.0.1"]), vec![], None));
    assert_eq!(answer.ttl, Duration::from_secs(9));
}

#[test]
fn a_kind_that_failed_keeps_its_addresses() {
    let known = ips(&["10.0.0.9", "fd00::9"]);
    let answer = both(Some(found(&["10.0.0.1"], 9)), Some(Reply::Failed("no answer".to_string())), &known);
    assert_eq!((answer.fresh, answer.stale), (ips(&["10.0.0.1"]), ips(&["fd00::9"])));
    assert_eq!(answer.trouble.as_deref(), Some("no answer"));
}

#[test]
fn nothing_at_all_confirms_nothing() {
    let known = ips(&["10.0.0.9", "fd00::9"]);
    for (v4, v6) in [
        (Some(Reply::Nothing("empty")), Some(Reply::Nothing("empty"))),
        (Some(Reply::Nothing("empty")), None),
        (Some(Reply::Failed("empty".to_string())), Some(Reply::Nothing("no such name"))),
    ] {
        let answer = both(v4, v6, &known);
        assert_eq!((answer.fresh, answer.stale), (vec![], known.clone()));
        assert_eq!(answer.trouble.as_deref(), Some("empty"));
    }
}

#[test]
fn families_choose_among_what_there_is() {
    let (v4, v6, mixed) = (ips(&["10.0.0.1"]), ips(&["fd00::1"]), ips(&["10.0.0.1", "fd00::1"]));
    for (families, known, expected) in [
        (Families::All, &mixed, &mixed),
        (Families::V4First, &mixed, &v4),
        (Families::V4First, &v6, &v6),
        (Families::V6First, &mixed, &v6),
        (Families::V6First, &v4, &v4),
        (Families::V4, &mixed, &v4),
        (Families::V6, &mixed, &v6),
        (Families::V4, &v6, &vec![]),
    ] {
        assert_eq!(chosen(families, known).collect::<Vec<_>>(), *expected, "{families:?} {known:?}");
    }
}

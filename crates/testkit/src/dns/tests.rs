use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::time::Duration;

use super::*;

/// Asks over UDP; `None` when nothing comes.
fn ask(dns: &Dns, name: &str, kind: u16) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    socket.send_to(&question(name, kind), dns.address()).unwrap();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).ok()?;
    Some(buffer[..length].to_vec())
}

fn ask_tcp(dns: &Dns, name: &str, kind: u16) -> Vec<u8> {
    let mut stream = TcpStream::connect(dns.address()).unwrap();
    let question = question(name, kind);
    stream.write_all(&[&(question.len() as u16).to_be_bytes(), question.as_slice()].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    answer
}

fn question(name: &str, kind: u16) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    let header = [7, 0x0100, 1, 0, 0, 0u16].map(u16::to_be_bytes).concat();
    header.into_iter().chain(labels).chain([0]).chain(kind.to_be_bytes()).chain([0, 1]).collect()
}

/// Response code, and the number of answers.
fn outcome(answer: &[u8]) -> (u8, u16) {
    (answer[3] & 0x0f, u16::from_be_bytes([answer[6], answer[7]]))
}

#[test]
fn answers_what_it_was_told_and_notes_who_asked_for_what() {
    let dns = Dns::start();
    dns.records("app.test", [Record::address("10.0.0.1", 5), Record::address("::1", 5)]);
    dns.records("alias.test", [Record::cname("app.test", 5)]);
    assert_eq!(outcome(&ask(&dns, "APP.test", 1).unwrap()), (0, 1));
    assert_eq!(outcome(&ask(&dns, "app.test", 33).unwrap()), (0, 0));
    assert_eq!(outcome(&ask(&dns, "alias.test", 28).unwrap()), (0, 2));
    assert_eq!(outcome(&ask(&dns, "none.test", 1).unwrap()), (NXDOMAIN, 0));
    dns.answer("app.test", Answer::Code(REFUSED));
    assert_eq!(outcome(&ask_tcp(&dns, "app.test", 1)), (REFUSED, 0));
    assert_eq!(dns.times_asked("app.test", Kind::A), 2);
    assert_eq!(
        dns.questions().last(),
        Some(&Asked { name: "app.test".to_string(), kind: Kind::A, over_tcp: true })
    );
}

#[test]
fn faults_are_what_they_are_called() {
    let dns = Dns::start();
    let record = || vec![Record::address("10.0.0.1", 5)];
    dns.answer("app.test", Answer::Silence);
    assert_eq!(ask(&dns, "app.test", 1), None);
    dns.answer("app.test", Answer::WrongId(record()));
    assert_eq!(ask(&dns, "app.test", 1).unwrap()[..2], [0, 8]);
    dns.answer("app.test", Answer::Garbage);
    assert_eq!(ask(&dns, "app.test", 1).unwrap()[..4], [0, 7, 0xff, 0xff]);
    dns.answer("app.test", Answer::OtherQuestion(record()));
    assert!(ask(&dns, "app.test", 1).unwrap()[12..].starts_with(b"\x05other\x03app"));
    dns.answer("app.test", Answer::OtherName(record()));
    let answer = ask(&dns, "app.test", 1).unwrap();
    assert!(answer[12..].starts_with(b"\x03app\x04test\0\0\x01\0\x01\x05other\x03app"));
}

#[test]
fn a_circle_of_aliases_ends() {
    let dns = Dns::start();
    dns.records("a.test", [Record::cname("b.test", 5)]);
    dns.records("b.test", [Record::cname("a.test", 5)]);
    assert_eq!(outcome(&ask(&dns, "a.test", 1).unwrap()), (0, 3));
}

#[test]
fn many_records_come_over_tcp_only() {
    let dns = Dns::start();
    dns.records("many.test", (0..4000u32).map(|n| Record::address(&Ipv4Addr::from(n).to_string(), 5)));
    let short = ask(&dns, "many.test", 1).unwrap();
    assert_eq!((outcome(&short), short[2] & 0x02), ((0, 0), 0x02));
    assert_eq!(outcome(&ask_tcp(&dns, "many.test", 1)), (0, 4000));
}

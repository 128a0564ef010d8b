//! Large files on their way: whole, in any part, to slow readers, and when they change meanwhile.

use std::fs;
use std::io::Read;

use rustix::fs::{Advice, fadvise, fsync};
use testkit::{Client, SOON, poll_until};

use crate::stage::{Stage, pattern, write};

const SIZE: usize = 20 << 20;

#[test]
fn a_large_file_arrives_whole_also_from_the_disk() {
    let stage = Stage::with("", "", |www| {
        for (name, len) in
            [("large", SIZE), ("middle", 100_000), ("edge", 16 << 10), ("over", (16 << 10) + 1)]
        {
            write(www, name, pattern(len));
        }
    });
    let mut client = stage.client();
    for (name, len) in [("large", SIZE), ("middle", 100_000), ("edge", 16 << 10), ("over", (16 << 10) + 1)] {
        for cold in [false, true, false] {
            if cold {
                let file = fs::File::open(stage.www().join(name)).unwrap();
                fsync(&file).unwrap();
                fadvise(&file, 0, None, Advice::DontNeed).unwrap();
            }
            let answer = client.get(&format!("/{name}"));
            assert!(answer.body == pattern(len), "{name}, cold: {cold}");
        }
    }
    let middle = SIZE / 2;
    let range = format!("bytes={middle}-{}", middle + 2_000_000);
    let part = client.request("GET", "/large", &[("Range", &range)], b"");
    assert!(part.body == pattern(SIZE)[middle..=middle + 2_000_000]);
    let lines = stage.palisade.wait_access_log(1, |_| true);
    assert!(lines[0].contains("\"status\":200"), "{}", lines[0]);
}

/// One worker: who reads slowly, or much, keeps nobody waiting.
#[test]
fn many_readers_are_served_side_by_side() {
    let stage = Stage::with("", "", |www| {
        write(www, "large", pattern(SIZE));
        write(www, "small", "small");
    });
    let front = stage.front();
    // Reads only when all others are done.
    let mut slow = Client::connect(front);
    slow.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(Client::connect(front).get("/large").body == pattern(SIZE)));
        }
        for _ in 0..50 {
            assert_eq!(Client::connect(front).get("/small").text(), "small");
        }
    });
    assert!(slow.read_response().body == pattern(SIZE));
}

/// What was told cannot come: the connection breaks, and nobody takes what came for the whole.
#[test]
fn a_file_that_shrinks_breaks_its_answer_off() {
    let stage = Stage::with("", "", |www| write(www, "large", pattern(SIZE)));
    let mut client = stage.client();
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut begun = [0; 1000];
    client.stream().read_exact(&mut begun).unwrap();
    let file = fs::File::options().write(true).open(stage.www().join("large")).unwrap();
    file.set_len(1 << 20).unwrap();
    let error = read_all(&mut client).expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let line = &stage.palisade.wait_access_log(1, |_| true)[0];
    assert!(line.contains("\"reason\":\"file_shrank\""), "{line}");
}

#[test]
fn a_file_that_grows_is_sent_as_long_as_it_was() {
    let stage = Stage::with("", "", |www| write(www, "large", pattern(SIZE)));
    let mut client = stage.client();
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut begun = [0; 12];
    client.stream().read_exact(&mut begun).unwrap();
    let file = fs::File::options().write(true).open(stage.www().join("large")).unwrap();
    file.set_len((SIZE + 1000) as u64).unwrap();
    client.send("GET /missing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let all = read_all(&mut client).expect("a clean end");
    let body = all.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert!(all[body..body + SIZE] == pattern(SIZE));
    assert!(all[body + SIZE..].starts_with(b"HTTP/1.1 404 "), "the next answer is behind it");
}

fn read_all(client: &mut Client) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    client.stream().read_to_end(&mut all).map(|_| all)
}

/// A client that leaves in the middle costs nothing that stays.
#[test]
fn a_client_that_leaves_is_forgotten() {
    let stage = Stage::with("", "", |www| write(www, "large", pattern(SIZE)));
    for _ in 0..20 {
        let mut client = stage.client();
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut begun = [0; 1000];
        client.stream().read_exact(&mut begun).unwrap();
    }
    let sockets = || {
        let links = fs::read_dir(format!("/proc/{}/fd", stage.palisade.pid())).unwrap();
        let targets = links.flatten().filter_map(|link| fs::read_link(link.path()).ok());
        targets.filter(|target| target.ends_with("large")).count()
    };
    poll_until(SOON, "only the cache holds the file", || sockets() <= 1);
    assert!(stage.get("/large").body == pattern(SIZE));
}

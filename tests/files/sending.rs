//! Large files on their way: whole, in any part, to slow readers, and when they change meanwhile.

use std::fs;
use std::io::Read;

use rustix::fs::{Advice, fadvise, fsync};
use testkit::{Client, Launch, SOON, poll_until, temp_dir};

use crate::stage::{BINARY, Stage, pattern, write};

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

/// In chunks too: the last one does not come.
#[test]
fn a_file_that_shrinks_while_it_is_compressed_has_no_end() {
    let stage = Stage::with("", "server.compression_guard = false\ndefaults.compress = true", |www| {
        write(www, "large.txt", pattern(SIZE));
    });
    let mut client = stage.client();
    client.send("GET /large.txt HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    let mut begun = [0; 1000];
    client.stream().read_exact(&mut begun).unwrap();
    let head = String::from_utf8_lossy(&begun);
    assert!(head.contains("Transfer-Encoding: chunked") && head.contains("Content-Encoding: gzip"), "{head}");
    let file = fs::File::options().write(true).open(stage.www().join("large.txt")).unwrap();
    file.set_len(1 << 20).unwrap();
    let rest = read_all(&mut client).unwrap_or_default();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it looks complete");
    let line = &stage.palisade.wait_access_log(1, |_| true)[0];
    assert!(line.contains("\"reason\":\"file_shrank\""), "{line}");
}

/// Without descriptors what cannot be opened is a 503 that says so; what is in memory, or open, goes on. Once there are
/// some again all is as before.
#[test]
fn without_descriptors_a_file_is_a_503_and_then_there_again() {
    let www = temp_dir();
    for number in 0..3 {
        write(&www, &format!("small-{number}.txt"), format!("small {number}"));
        write(&www, &format!("large-{number}.txt"), pattern(100_000));
    }
    let config = format!(
        "listeners.http.address = \"127.0.0.1:0\"\nserver = {{ workers = 1, head_timeout = \"60s\" }}\n\
         log.access = \"{{dir}}/access.log\"\nroutes.all.files = {{ root = \"{}\", browse = true }}",
        www.display()
    );
    let palisade = Launch::new(BINARY).open_files(64).start(&config);
    // A client that has begun keeps its place, one that is idle would lose it.
    let begun = |_| {
        let mut client = palisade.client();
        client.send("G");
        client
    };
    let mut asking: Vec<Client> = (0..4).map(begun).collect();
    assert!(palisade.client().get("/large-0.txt").body == pattern(100_000));
    let held: Vec<Client> = (0..100).map(begun).collect();
    palisade.wait_stderr("cannot accept connections for now", SOON);
    for (client, target) in asking.iter_mut().zip(["/small-1.txt", "/large-1.txt", "/", "/large-0.txt"]) {
        client.send(format!("ET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let answer = client.read_response();
        // What is open already is served, unless it had to be looked at again.
        if answer.status == 200 && target == "/large-0.txt" {
            assert!(answer.body == pattern(100_000));
            continue;
        }
        assert_eq!(answer.status, 503, "{target}");
        assert!(answer.header("Retry-After").is_some());
    }
    let lines = palisade.wait_access_log(3, |line| line.contains("\"status\":503"));
    assert!(lines.iter().all(|line| line.contains("\"reason\":\"out_of_files\"")), "{lines:?}");
    drop((held, asking));
    for target in ["/small-1.txt", "/large-1.txt", "/large-0.txt", "/"] {
        poll_until(SOON, "it can be had again", || palisade.client().get(target).status == 200);
    }
    let mut client = palisade.client();
    assert_eq!(client.get("/small-1.txt").text(), "small 1");
    assert!(client.get("/large-1.txt").body == pattern(100_000));
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

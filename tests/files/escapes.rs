//! Attempts to read what is outside of the root, or hidden in it: `escapes.txt`. Whatever the answer, it never holds
//! a byte of a secret.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use testkit::{Client, Palisade, temp_dir};

use crate::stage::{BINARY, write};

const SECRET: &str = "TOP-SECRET";
const CORPUS: &str = include_str!("escapes.txt");

#[test]
fn no_way_leads_out() {
    let dir = temp_dir();
    make(&dir);
    let config = |options: &str| {
        format!(
            r#"
            listeners.http.address = "127.0.0.1:0"
            server.workers = 1
            routes.all.files = {{ root = "{0}/www", {options} }}
            routes.prefix = {{ path = "/static", strip_prefix = true, files = {{ root = "{0}/www", {options} }} }}
            "#,
            dir.display()
        )
    };
    // What is tried or listed besides leads nowhere else.
    for options in
        ["", "browse = true", "try_files = [\"{path}.txt\", \"{path}/index.html\"]", "symlinks = \"never\""]
    {
        let palisade = Palisade::start(BINARY, &config(options));
        let mut wrong = Vec::new();
        for (expected, target) in cases() {
            let (status, all) = ask(&palisade, &target);
            assert!(
                !all.contains(SECRET) && !all.contains("root:"),
                "{options} {}: {all}",
                target.escape_ascii()
            );
            let fits = if expected == "ok" { status == 200 } else { status.to_string() == expected };
            if !fits && options.is_empty() {
                wrong.push(format!("{status} {}", target.escape_ascii()));
            }
            let below = [b"/static", &target[..]].concat();
            let (_, all) = ask(&palisade, &below);
            assert!(!all.contains(SECRET) && !all.contains("root:"), "{}: {all}", below.escape_ascii());
        }
        assert!(wrong.is_empty(), "other answers:\n{}", wrong.join("\n"));
        // Everybody else is still served.
        let answer = Client::connect(palisade.address("http")).get("/a/b/c.txt");
        assert_eq!((answer.status, answer.text()), (200, "inside"), "{options}");
    }
}

/// The status of the answer, and all that came.
fn ask(palisade: &Palisade, target: &[u8]) -> (u16, String) {
    let mut client = Client::connect(palisade.address("http"));
    client.send([b"GET ", target, b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"].concat());
    let all = String::from_utf8_lossy(&client.read_to_end()).into_owned();
    let status = all.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{}: {all:?}", target.escape_ascii())), all)
}

fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let lines = CORPUS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let cases: Vec<_> = lines.map(|line| line.split_once(' ').unwrap()).collect();
    assert!(cases.len() >= 150, "the corpus is gone");
    cases.into_iter().map(|(status, target)| (status, unescaped(target))).collect()
}

fn unescaped(target: &str) -> Vec<u8> {
    let mut pieces = target.split("\\x");
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    bytes
}

fn make(dir: &Path) {
    let secret = format!("{SECRET} outside");
    write(dir, "secret.txt", &secret);
    write(dir, "www-private/secret.txt", &secret);
    write(dir, "secret.txt.txt", &secret);
    let www = dir.join("www");
    write(&www, "index.html", "inside");
    write(&www, "a/b/c.txt", "inside");
    write(&www, ".well-known/x", "inside");
    for hidden in [".hidden", ".hidden.txt", "a/.hidden", ".git/config", ".well-known/.hidden", ".index.html"]
    {
        write(&www, hidden, format!("{SECRET} hidden"));
    }
    for (link, target) in [
        ("link-out", "../secret.txt"),
        ("link-out.txt", "../secret.txt"),
        ("a/link-out", "../../secret.txt"),
        ("chain-out", "link-out"),
        ("folder-out", ".."),
        ("link-etc", "/etc"),
        ("link-proc", "/proc/self/cwd"),
        ("dangling", "nothing"),
        ("loop", "loop"),
    ] {
        symlink(target, www.join(link)).unwrap();
    }
    symlink(dir.join("secret.txt"), www.join("absolute-out")).unwrap();
    symlink(dir, www.join("absolute-folder")).unwrap();
    mknodat(CWD, www.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    drop(UnixListener::bind(www.join("socket")).unwrap());
}

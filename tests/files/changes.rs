//! Files that change while they are served: a deployment is seen within a moment, without a reload.

use std::fs;
use std::os::unix::fs::symlink;

use testkit::{Client, Palisade, SOON, poll_until, temp_dir};

use crate::stage::{BINARY, Stage, pattern, write};

#[test]
fn a_new_version_is_seen_within_a_moment() {
    let stage = Stage::new("", &[("a.txt", "one"), ("b.txt", "b")]);
    let mut client = stage.client();
    let first = client.get("/a.txt");
    assert_eq!(first.text(), "one");
    // In place, by a new file in its place, longer, shorter, and gone.
    write(&stage.www(), "a.txt", "two!");
    poll_until(SOON, "the text in place", || client.get("/a.txt").text() == "two!");
    write(&stage.www(), "a.txt.new", "3");
    fs::rename(stage.www().join("a.txt.new"), stage.www().join("a.txt")).unwrap();
    poll_until(SOON, "the new file", || client.get("/a.txt").text() == "3");
    assert_ne!(client.get("/a.txt").header("ETag"), first.header("ETag"));
    fs::remove_file(stage.www().join("a.txt")).unwrap();
    poll_until(SOON, "nothing", || client.get("/a.txt").status == 404);
    fs::create_dir(stage.www().join("a.txt")).unwrap();
    poll_until(SOON, "a folder", || client.get("/a.txt").status == 308);
    assert_eq!(client.get("/b.txt").text(), "b");
}

/// A large one is looked at each time: what changes is never sent with the length it had.
#[test]
fn a_large_file_that_changed_is_current_at_once() {
    let stage = Stage::with("", "", |www| write(www, "large", pattern(200_000)));
    let mut client = stage.client();
    for len in [200_000, 100_000, 300_000, 50_000, 200_001] {
        write(&stage.www(), "large", pattern(len));
        let answer = client.get("/large");
        assert_eq!(answer.status, 200);
        assert!(answer.body == pattern(len), "{len}");
    }
}

/// So is the page of an application, which answers for paths of its own.
#[test]
fn a_large_fallback_that_changed_is_current_at_once() {
    let stage =
        Stage::with("spa_fallback = \"/app.html\"", "", |www| write(www, "app.html", pattern(200_000)));
    let mut client = stage.client();
    for len in [200_000, 100_000, 300_000] {
        write(&stage.www(), "app.html", pattern(len));
        let answer = client.request("GET", "/users/17", &[("Host", "a"), ("Accept", "text/html")], b"");
        assert!(answer.status == 200 && answer.body == pattern(len), "{len}");
    }
}

/// What was believed of a path does not outlive what the path has become: a link is judged like any other.
#[test]
fn a_folder_that_becomes_a_link_leads_nowhere_else() {
    for (symlinks, inside) in [("inside", Some("elsewhere")), ("never", None), ("follow", Some("elsewhere"))]
    {
        let stage = Stage::with(&format!("symlinks = \"{symlinks}\""), "", |www| {
            for (folder, text) in
                [("one", "small"), ("two", "small"), ("other", "elsewhere"), ("../out", "secret")]
            {
                write(www, &format!("{folder}/a.txt"), text);
                write(www, &format!("{folder}/large.txt"), text.repeat(10_000));
            }
        });
        let mut client = stage.client();
        for folder in ["one", "two"] {
            assert_eq!(client.get(&format!("/{folder}/a.txt")).text(), "small");
            assert_eq!(client.get(&format!("/{folder}/large.txt")).body.len(), 50_000);
        }
        let swap = |folder: &str, target: &str| {
            fs::rename(stage.www().join(folder), stage.www().join(format!("{folder}.old"))).unwrap();
            symlink(target, stage.www().join(folder)).unwrap();
        };
        swap("one", "../out");
        swap("two", "other");
        for (folder, text) in [("one", Some("secret").filter(|_| symlinks == "follow")), ("two", inside)] {
            for (name, times) in [("a.txt", 1), ("large.txt", 10_000)] {
                poll_until(SOON, "the link to be seen", || {
                    let answer = client.get(&format!("/{folder}/{name}"));
                    if answer.status == 200 && answer.text() == "small".repeat(times) {
                        return false;
                    }
                    match text {
                        Some(text) => {
                            assert!(answer.text() == text.repeat(times), "{symlinks} {folder}/{name}")
                        }
                        None => assert_eq!(answer.status, 404, "{symlinks} {folder}/{name}"),
                    }
                    true
                });
            }
        }
    }
}

#[test]
fn a_link_that_is_swapped_is_followed() {
    let dir = temp_dir();
    for release in ["1", "2"] {
        write(&dir, &format!("release-{release}/index.html"), release);
        write(&dir, &format!("release-{release}/only-{release}.txt"), release);
    }
    let swap = |release: &str| {
        let draft = dir.join("draft");
        symlink(format!("release-{release}"), &draft).unwrap();
        fs::rename(&draft, dir.join("current")).unwrap();
    };
    swap("1");
    let config = format!(
        "listeners.http.address = \"127.0.0.1:0\"\nserver.workers = 1\nroutes.all.files = \"{}/current\"",
        dir.display()
    );
    let palisade = Palisade::start(BINARY, &config);
    let mut client = Client::connect(palisade.address("http"));
    for (now, before) in [("1", "2"), ("2", "1"), ("1", "2")] {
        swap(now);
        poll_until(SOON, "the release", || client.get("/").text() == now);
        // From then on there is nothing of the other one.
        assert_eq!(client.get(&format!("/only-{now}.txt")).text(), now);
        assert_eq!(client.get(&format!("/only-{before}.txt")).status, 404);
    }
    fs::remove_file(dir.join("current")).unwrap();
    poll_until(SOON, "no root", || client.get("/").status == 500);
    swap("2");
    poll_until(SOON, "the root again", || client.get("/").text() == "2");
}

/// More than the cache holds of files and of bytes: all are served, and none is kept open for ever.
#[test]
fn many_files_fit_through_a_small_cache() {
    let stage = Stage::with("", "", |www| {
        for number in 0..1500 {
            let len = if number % 2 == 0 { 12_000 } else { 20_000 };
            write(www, &format!("{number}"), format!("{number}:").repeat(len / 5).as_bytes());
        }
    });
    let open = || fs::read_dir(format!("/proc/{}/fd", stage.palisade.pid())).unwrap().count();
    let before = open();
    let mut client = stage.client();
    for number in (0..1500).chain((0..1500).rev()) {
        let answer = client.get(&format!("/{number}"));
        assert!(answer.text().starts_with(&format!("{number}:")), "{number}");
    }
    assert!(open() < before + 600, "{} files are open", open());
    // A file that was deleted keeps no place on the disk for long.
    poll_until(3 * SOON, "all files closed", || open() <= before + 2);
}

//! Folders that are listed.

use std::fs;
use std::os::unix::fs::symlink;

use testkit::{SOON, poll_until};

use crate::stage::{Stage, write};

fn stage() -> Stage {
    Stage::with("browse = true, hide = [\"*.bak\"]", "", |www| {
        write(www, "b.txt", "12345");
        write(www, "A.txt", "1");
        write(www, "folder/x/y.txt", "y");
        write(www, "indexed/index.html", "index");
        write(www, "<b>&\"'.txt", "odd");
        write(www, ".hidden", "no");
        write(www, "x.bak", "no");
        // No path leads to these: they would be links that lead nowhere.
        for name in ["back\\slash", "line\nbreak", "..;x"] {
            write(www, name, "no");
        }
        symlink("b.txt", www.join("link.txt")).unwrap();
        symlink("/etc/passwd", www.join("out.txt")).unwrap();
    })
}

#[test]
fn a_folder_is_a_page_of_links() {
    let stage = stage();
    let answer = stage.ask("/", &[("Accept", "text/html")]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("Content-Type"), Some("text/html; charset=utf-8"));
    let policy = answer.header("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let page = answer.text();
    for link in ["./A.txt", "./b.txt", "./folder/", "./indexed/", "./link.txt"] {
        assert!(page.contains(&format!("href=\"{link}\"")), "{link}: {page}");
    }
    for absent in
        [".hidden", "x.bak", "slash", "break", "..;x", "out.txt", "<b>", "http://", "https://", "<script"]
    {
        assert!(!page.contains(absent), "{absent}: {page}");
    }
    // Every link leads to what it names.
    for href in page.split("<td><a href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let answer = stage.get(&format!("/{}", href.strip_prefix("./").unwrap()));
        assert_eq!(answer.status, 200, "{href}");
    }
    let below = stage.get("/folder/x/");
    assert!(below.text().contains("<a href=\"../../\">/</a><a href=\"../\">folder/</a>"), "{}", below.text());
    assert!(below.text().contains("href=\"../\">../</a>"));
    assert_eq!(stage.get("/indexed/").text(), "index");
    assert_eq!(stage.get("/folder").header("Location"), Some("./folder/"));
    let told = stage.client().request("HEAD", "/folder/x/", &[], b"");
    assert_eq!(told.header("Content-Length"), Some(&*below.body.len().to_string()));
    assert_eq!(stage.ask("/nothing/", &[]).status, 404);
}

#[test]
fn the_query_orders_it() {
    let stage = stage();
    let order = |query: &str| {
        let page = stage.get(&format!("/{query}")).text().to_owned();
        let mut names: Vec<_> = ["A.txt", "b.txt", "folder", "indexed"].to_vec();
        names.sort_by_key(|name| page.find(&format!("href=\"./{name}")).unwrap());
        names.join(" ")
    };
    assert_eq!(order(""), "folder indexed A.txt b.txt");
    assert_eq!(order("?sort=name&order=desc"), "indexed folder b.txt A.txt");
    assert_eq!(order("?sort=size&order=desc"), "indexed folder b.txt A.txt");
    assert_eq!(order("?sort=size"), "folder indexed A.txt b.txt");
    assert_eq!(order("?sort=%3Cscript%3E"), "folder indexed A.txt b.txt");
    assert!(!stage.get("/?sort=<script>&order=\"x").text().contains("<script"));
}

#[test]
fn programs_get_json() {
    let stage = stage();
    let answer = stage.ask("/?sort=size", &[("Accept", "application/json")]);
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    let list: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&list["path"], &list["truncated"]), (&"/".into(), &false.into()));
    let entries = list["entries"].as_array().unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["folder", "indexed", "A.txt", "<b>&\"'.txt", "b.txt", "link.txt"]);
    let file = entries.iter().find(|entry| entry["name"] == "b.txt").unwrap();
    assert_eq!((&file["type"], &file["size"], &file["href"]), (&"file".into(), &5.into(), &"b.txt".into()));
    let modified = file["modified"].as_str().unwrap();
    assert!(modified.len() == 20 && modified.ends_with('Z'), "{modified}");
    assert_eq!(entries[0]["type"], "folder");
    assert_eq!(entries[0]["href"], "folder/");
}

#[test]
fn a_huge_folder_is_cut_and_says_so() {
    let stage = Stage::with("browse = true", "", |www| {
        for number in 0..10_050 {
            fs::write(www.join(format!("{number:05}")), "").unwrap();
        }
    });
    let answer = stage.ask("/", &[("Accept", "application/json")]);
    let list: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(list["entries"].as_array().unwrap().len(), 10_000);
    assert_eq!(list["truncated"], true);
    assert!(stage.get("/").text().contains("only 10000 entries are listed"));
}

#[test]
fn nothing_is_listed_unless_it_is_wanted() {
    let stage = Stage::new("", &[("a/secret-name.txt", "x")]);
    for target in ["/", "/a/"] {
        let answer = stage.get(target);
        assert_eq!(answer.status, 404, "{target}");
        assert!(!answer.text().contains("secret-name"));
    }
}

/// Many clients that take their time with a long list do not fill the memory: there is room for so many lists, and then
/// for no more until one of them is gone.
#[test]
fn long_lists_have_a_limit_together() {
    let stage = Stage::with("browse = true", "", |www| {
        for number in 0..10_000 {
            fs::write(www.join(format!("{number:05}{}", "\u{e4}".repeat(100))), "").unwrap();
        }
    });
    let length = stage.get("/").body.len();
    assert!(length > 7 << 20, "{length}");
    let mut slow = Vec::new();
    for _ in 0..(64 << 20) / length + 1 {
        let mut client = stage.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        slow.push(client);
    }
    poll_until(SOON, "no room for another list", || {
        let answer = stage.client().request("HEAD", "/", &[("Host", "a")], b"");
        answer.status == 507
    });
    let line = stage.palisade.wait_access_log(1, |line| line.contains("507"));
    assert!(line[0].contains("\"reason\":\"out_of_space\""), "{line:?}");
    drop(slow);
    poll_until(SOON, "room again", || stage.get("/").status == 200);
}

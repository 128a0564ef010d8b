//! Endpoints from a file that something else writes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use testkit::dns::Record;
use testkit::{Dns, Launch, Metrics, Palisade, TempDir, canary, temp_dir};

use super::{DEADLINE, config, expect_share, origins, wait_unused, wait_used};

/// A proxy whose upstream has the file `list` in a folder of its own.
fn start(dns: &Dns, text: &str) -> (Palisade, TempDir) {
    let dir = temp_dir();
    fs::write(dir.join("list"), text).unwrap();
    (start_in(dns, &dir), dir)
}

fn start_in(dns: &Dns, dir: &Path) -> Palisade {
    let upstream = format!("endpoints_file = \"{}\"", dir.join("list").display());
    Launch::new(env!("CARGO_BIN_EXE_palisade")).deadline(DEADLINE).start(&config(dns, "", &upstream))
}

/// As a program should: the file is the old one or the new one, never half of it.
fn replace(dir: &Path, text: &str) {
    fs::write(dir.join("draft"), text).unwrap();
    fs::rename(dir.join("draft"), dir.join("list")).unwrap();
}

#[test]
fn lines_are_endpoints_with_weights_and_backups() {
    let ([one, two, three], port) = origins(["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
    let text =
        format!("# servers\n127.0.0.2:{port} weight=3\n\n127.0.0.3:{port} # slow\n127.0.0.4:{port} backup\n");
    let (palisade, _dir) = start(&Dns::start(), &text);
    expect_share(&palisade, 20, [(&one, 15), (&two, 5), (&three, 0)]);
}

#[test]
fn names_in_a_file_are_looked_up() {
    let ([old, new], port) = origins(["127.0.0.2", "127.0.0.3"]);
    let dns = Dns::start();
    dns.records("app.test", [Record::address("127.0.0.2", 0)]);
    let (palisade, _dir) = start(&dns, &format!("app.test:{port}\n"));
    canary(palisade.address("http"), &old);
    dns.records("app.test", [Record::address("127.0.0.3", 0)]);
    wait_used(&palisade, &new, "the new address");
}

#[test]
fn a_change_of_the_file_leaves_the_connections_of_those_that_stay_alone() {
    let ([stays, goes, comes], port) = origins(["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
    let (palisade, dir) = start(&Dns::start(), &format!("127.0.0.2:{port}\n127.0.0.3:{port}\n"));
    expect_share(&palisade, 10, [(&stays, 5), (&goes, 5)]);
    replace(&dir, &format!("127.0.0.2:{port}\n127.0.0.4:{port}\n"));
    wait_used(&palisade, &comes, "the new endpoint");
    wait_unused(&palisade, &goes, "nothing at the endpoint that went");
    wait_used(&palisade, &stays, "the endpoint that stays");
    assert_eq!(stays.connections().len(), 1);
    palisade.wait_stderr("list read: 2 endpoints", DEADLINE);
}

/// As Kubernetes updates a mounted ConfigMap: the file is behind a link to a folder, and the link changes.
#[test]
fn a_link_that_leads_elsewhere_is_a_change() {
    let ([old, new], port) = origins(["127.0.0.2", "127.0.0.3"]);
    let dir = temp_dir();
    for (version, address) in [("v1", "127.0.0.2"), ("v2", "127.0.0.3")] {
        fs::create_dir(dir.join(version)).unwrap();
        fs::write(dir.join(version).join("list"), format!("{address}:{port}\n")).unwrap();
    }
    symlink("v1", dir.join("data")).unwrap();
    symlink("data/list", dir.join("list")).unwrap();
    let palisade = start_in(&Dns::start(), &dir);
    canary(palisade.address("http"), &old);
    symlink("v2", dir.join("data.new")).unwrap();
    fs::rename(dir.join("data.new"), dir.join("data")).unwrap();
    wait_used(&palisade, &new, "the endpoint behind the new link");
    wait_unused(&palisade, &old, "nothing at the old endpoint");
    canary(palisade.address("http"), &new);
}

/// Breaks the file in some way, then mends it with another endpoint.
#[track_caller]
fn survives(break_it: impl FnOnce(&Path), told: &str) {
    let ([old, new], port) = origins(["127.0.0.2", "127.0.0.3"]);
    let (palisade, dir) = start(&Dns::start(), &format!("127.0.0.2:{port}\n"));
    canary(palisade.address("http"), &old);
    break_it(&dir);
    palisade.wait_stderr(told, DEADLINE);
    palisade.wait_stderr("its endpoints of before are kept", DEADLINE);
    let failures = || Metrics::scrape(palisade.address("admin")).sum("discovery_failing", &["source=\""]);
    assert_eq!(failures(), 1.0);
    canary(palisade.address("http"), &old);
    replace(&dir, &format!("127.0.0.3:{port}\n"));
    wait_used(&palisade, &new, "the mended file");
    assert_eq!(failures(), 0.0);
    canary(palisade.address("http"), &new);
}

#[test]
fn a_broken_line_keeps_what_was_there() {
    survives(|dir| replace(dir, "127.0.0.9:80\n127.0.0.9:80 weigth=3\n"), "help: did you mean `weight=N`?");
}

#[test]
fn a_file_that_is_gone_keeps_what_was_there() {
    survives(|dir| fs::remove_file(dir.join("list")).unwrap(), "there is no such file");
}

#[test]
fn an_empty_file_keeps_what_was_there() {
    survives(|dir| replace(dir, "# nobody\n"), "has no endpoint");
}

#[test]
fn a_folder_keeps_what_was_there() {
    let to_folder = |dir: &Path| {
        fs::remove_file(dir.join("list")).unwrap();
        fs::create_dir(dir.join("folder")).unwrap();
        symlink("folder", dir.join("list")).unwrap();
    };
    survives(to_folder, "it is not a file");
}

#[test]
fn a_file_that_is_too_large_keeps_what_was_there() {
    survives(|dir| replace(dir, &"#".repeat((1 << 20) + 1)), "it is larger than 1 MiB");
}

//! The start, and why it fails.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use testkit::{Address, Client, Launch, NotReady, Origin, Palisade, SOON, canary, temp_dir};

use crate::stage::{BINARY, TERMINATE, config, operator, proxy_for};

/// The text of a start that fails with exit code 1.
#[track_caller]
fn expect_no_start(config: &str) -> String {
    match Launch::new(BINARY).try_start(config) {
        Err(NotReady { status: Some(status), stderr }) => {
            assert_eq!(status.code(), Some(1), "{stderr}");
            assert!(!stderr.contains("panicked"), "{stderr}");
            stderr
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it started"),
    }
}

#[test]
fn a_port_in_use_is_said_at_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for key in ["listeners.http.address", "admin.address"] {
        let base = if key == "admin.address" { "listeners.a.address = \"127.0.0.1:0\"\n" } else { "" };
        let said = expect_no_start(&format!(
            "{base}{key} = \"{address}\"\nroutes.a.respond = {{ status = 200 }}\nserver.workers = 2"
        ));
        assert!(said.contains(&address) && said.contains("in use"), "{said}");
    }
}

#[test]
fn a_second_instance_does_not_share_the_port() {
    let origin = Origin::echo();
    for workers in [1, 2] {
        let first = proxy_for(&origin, "");
        let address = first.address("http");
        let said = expect_no_start(&format!(
            "listeners.http.address = \"{address}\"\nroutes.a.respond = {{ status = 200 }}\nserver.workers = {workers}"
        ));
        assert!(said.contains(&address.to_string()) && said.contains("in use"), "{said}");
        for _ in 0..5 {
            canary(address, &origin);
        }
    }
}

#[test]
fn a_wrong_configuration_is_explained_at_start() {
    let said =
        expect_no_start("listeners.http.adress = \"127.0.0.1:0\"\nroutes.a.respond = { status = 200 }");
    assert!(said.contains("palisade.toml:1:") && said.contains("`address`"), "{said}");
    // All mistakes at once.
    let said = expect_no_start("listeners.http.address = \"nowhere\"\nroutes.a.upstream = \"missing\"");
    assert!(said.contains("palisade.toml:1:") && said.contains("palisade.toml:2:"), "{said}");
}

#[test]
fn a_missing_file_and_an_unwritable_log_are_explained_at_start() {
    let dir = temp_dir();
    let output = Command::new(BINARY).arg("run").arg("-c").arg(dir.join("none.toml")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("none.toml"), "{said}");
    let said = expect_no_start(&config(
        "routes.a.respond = { status = 200 }\nlog.access = \"{dir}/no/such/folder/access.log\"",
    ));
    assert!(said.contains("no/such/folder/access.log"), "{said}");
}

#[test]
fn a_name_that_does_not_resolve_does_not_stop_the_start() {
    let origin = Origin::echo();
    let palisade = Palisade::start(
        BINARY,
        &config(&format!(
            "upstreams.origin.endpoints = [\"no-such-host.invalid:80\", \"{}\"]\nroutes.all.upstream = \"origin\"",
            origin.address()
        )),
    );
    palisade.wait_stderr("name no-such-host.invalid not resolved", SOON);
    for _ in 0..4 {
        canary(palisade.address("http"), &origin);
    }
    let metrics = palisade.metrics();
    assert_eq!(metrics.sum("endpoint_up", &["no-such-host.invalid"]), 0.0);
    assert_eq!(metrics.sum("endpoint_up", &[&format!("endpoint=\"{}\"", origin.address())]), 1.0);
}

#[test]
fn a_stale_socket_file_is_replaced_and_others_are_not() {
    let dir = temp_dir();
    let path = dir.join("http.sock");
    // Left behind: nobody listens any more.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let unix = |path: &Path| {
        format!(
            "listeners.http.address = \"unix:{}\"\nroutes.a.respond = {{ status = 200, body = \"a\" }}",
            path.display()
        )
    };
    let mut first = Palisade::start(BINARY, &unix(&path));
    let address = Address::Unix(path.clone());
    assert_eq!(Client::connect(address.clone()).get("/").text(), "a");

    let said = expect_no_start(&unix(&path));
    assert!(said.contains("http.sock") && said.contains("in use"), "{said}");
    assert_eq!(Client::connect(address.clone()).get("/").text(), "a");

    // Killed, it leaves its file behind, which the next start replaces.
    first.signal(9);
    first.wait_exit(SOON);
    assert!(path.exists());
    let mut second = Palisade::start(BINARY, &unix(&path));
    assert_eq!(Client::connect(address).get("/").text(), "a");
    second.signal(TERMINATE);
    assert!(second.wait_exit(SOON).success());
    assert!(!path.exists(), "the file is removed at the end");

    fs::write(&path, "precious").unwrap();
    expect_no_start(&unix(&path));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn the_admin_socket_is_the_operators_alone() {
    let palisade = Palisade::start(BINARY, &config("routes.a.respond = { status = 200 }"));
    let metadata = fs::metadata(palisade.dir().join("admin.sock")).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    // Over TCP anybody on the machine may come: it tells, but takes no orders.
    for order in ["/reload", "/stop"] {
        assert_eq!(Client::connect(palisade.address("admin")).request("POST", order, &[], b"").status, 404);
        assert_eq!(operator(&palisade).get(order).status, 404, "an order is a POST");
    }
}

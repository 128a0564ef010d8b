//! What the kernel does not give: ports, room on a disk. It is said, counted and passed, and nobody who does
//! not need it notices. These tests make a network or a disk of their own, which needs root; without it they
//! say so and pass.

use std::fs;
use std::thread;
use std::time::Duration;

use testkit::{
    Address, Client, Origin, Palisade, SOON, canary_on, own_disk, own_network, pattern, poll_until, temp_dir,
};

const BINARY: &str = env!("CARGO_BIN_EXE_palisade");

/// A proxy that is asked over Unix sockets, which need no ports.
fn proxy(endpoints: &[&str], more: &str) -> Palisade {
    let config = format!(
        "listeners.http.address = \"unix:{{dir}}/http.sock\"\nadmin.socket = \"{{dir}}/admin.sock\"\n\
         upstreams.origin.endpoints = {endpoints:?}\nroutes.all.upstream = \"origin\"\nserver.workers = 1\n{more}"
    );
    Palisade::start(BINARY, &config)
}

fn tcp(address: &str) -> Address {
    address.parse().expect("an address")
}

/// Clients that hold all of the four ports that there are.
fn hold_all_ports(palisade: &Palisade, origin: &Origin) -> Vec<Client> {
    let mut clients = Vec::new();
    for number in 0..4 {
        let mut client = palisade.client();
        client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
        origin.wait_requests(number + 1, SOON);
        clients.push(client);
    }
    clients
}

#[test]
fn without_a_free_port_it_is_a_503_at_once() {
    if !own_network(50_000, 50_003) {
        return;
    }
    let (origin, door) = Origin::holding_at(tcp("127.0.0.1:3000"));
    let palisade = proxy(&["127.0.0.1:3000"], "log.access = \"{dir}/access.log\"");
    let held = hold_all_ports(&palisade, &origin);
    let mut client = palisade.client();
    for _ in 0..3 {
        let response = client.get("/no-port");
        assert_eq!(response.status, 503);
        assert!(response.header("Retry-After").is_some());
    }
    let lines = palisade.wait_access_log(3, |line| line.contains("/no-port"));
    assert!(lines.iter().all(|line| line.contains("\"reason\":\"out_of_ports\"")), "{lines:?}");
    let metrics = palisade.metrics();
    assert_eq!(metrics.sum("failures_total", &["out_of_ports"]), 3.0);
    // Each tried once: it would not be otherwise a moment later, and there is no other endpoint.
    assert_eq!(metrics.sum("upstream_events_total", &["event=\"connect\""]), 7.0);
    assert_eq!(metrics.sum("upstream_events_total", &["event=\"connect_failure\""]), 3.0);
    assert_eq!(metrics.sum("endpoint_up", &[]), 1.0, "the endpoint is not to blame");
    // Nothing is tried behind our back either.
    let before = palisade.cpu_time();
    thread::sleep(Duration::from_millis(500));
    let busy = palisade.cpu_time() - before;
    assert!(busy < Duration::from_millis(250), "{busy:?} in half a second of nothing");
    door.open();
    for mut client in held {
        assert_eq!(client.read_response().status, 200);
    }
    canary_on(&mut client, &origin);
}

/// Ports are counted by destination: another endpoint may have some left.
#[test]
fn without_a_free_port_the_next_endpoint_is_tried() {
    if !own_network(50_000, 50_003) {
        return;
    }
    let (full, door) = Origin::holding_at(tcp("127.0.0.1:3000"));
    let (other, _) = Origin::holding_at(tcp("127.0.0.2:3000"));
    let palisade = proxy(
        &["127.0.0.1:3000"],
        "upstreams.both.endpoints = [\"127.0.0.1:3000\", \"127.0.0.2:3000\"]\n\
         routes.both = { path = \"/both\", upstream = \"both\" }",
    );
    let held = hold_all_ports(&palisade, &full);
    let mut client = palisade.client();
    for _ in 0..6 {
        assert_eq!(client.get("/both").status, 200);
    }
    assert_eq!(other.requests().len(), 6);
    door.open();
    drop(held);
}

/// Fills the disk, but for about so many bytes.
fn fill(file: &std::path::Path, size: usize, but: usize) {
    fs::write(file, vec![b'x'; size - but]).unwrap();
}

#[test]
fn a_full_disk_costs_log_lines_and_no_more() {
    const DISK: usize = 256 << 10;
    let dir = temp_dir();
    if !own_disk(&dir, DISK) {
        return;
    }
    let (filler, log) = (dir.join("filler"), dir.join("access.log"));
    fill(&filler, DISK, 16 << 10);
    let more = format!(
        "log.access = \"{}\"\nroutes.fixed = {{ path = \"/fixed\", respond = {{ status = 200 }} }}",
        log.display()
    );
    let palisade = proxy(&["127.0.0.1:9"], &more);
    let mut client = palisade.client();
    let lost = || palisade.metrics().sum("log_lines_dropped_total", &[]);
    let mut asked = 0.0;
    poll_until(SOON, "the disk to be full", || {
        assert_eq!(client.get("/fixed/before").status, 200);
        asked += 1.0;
        lost() > 0.0
    });
    palisade.wait_stderr("lines are lost", SOON);
    // There is room again, and the next line stands on its own.
    fs::remove_file(&filler).unwrap();
    assert_eq!(client.get("/fixed/after").status, 200);
    asked += 1.0;
    palisade.wait_stderr("can be written again", SOON);
    let mut written = Vec::new();
    poll_until(SOON, "a whole line", || {
        let text = fs::read_to_string(&log).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        written = lines.collect();
        written.iter().any(|line| line["target"] == "/fixed/after")
    });
    assert_eq!(written.len() as f64 + lost(), asked, "each line is written or counted as lost");
}

#[test]
fn a_full_disk_for_bodies_is_a_507_and_leaves_nothing_behind() {
    let dir = temp_dir();
    if !own_disk(&dir, 256 << 10) {
        return;
    }
    let origin = Origin::echo();
    let more = format!(
        "server.body_memory = \"64KiB\"\nserver.body_folder = \"{}\"\nlog.access = \"{{dir}}/access.log\"",
        dir.display()
    );
    let palisade = proxy(&[&origin.address().to_string()], &more);
    let mut client = palisade.client();
    for _ in 0..3 {
        let mut glutton = palisade.client();
        let request = "POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n";
        glutton.send(request);
        // The answer comes before all is sent.
        let _ = glutton.try_send(pattern(2_000_000));
        assert_eq!(glutton.read_response().status, 507);
        let fits = pattern(200_000);
        assert_eq!(client.request("POST", "/echo", &[], &fits).body, fits);
    }
    let lines = palisade.wait_access_log(3, |line| line.contains("/big"));
    assert!(lines.iter().all(|line| line.contains("\"reason\":\"out_of_space\"")), "{lines:?}");
    assert_eq!(palisade.metrics().sum("spool_disk_bytes", &[]), 0.0);
    assert!(origin.requests().iter().all(|request| request.target == "/echo"));
}

//! The access log.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use testkit::{Address, Metrics, Origin, Palisade, SOON, canary, canary_on, poll_until, temp_dir};

use crate::stage::{BINARY, TERMINATE, USER1, config, proxy_for, to};

#[test]
fn the_log_is_reopened_after_a_rename() {
    let palisade = Palisade::start(
        BINARY,
        &config("routes.a.respond = { status = 200 }\nlog.access = \"{dir}/access.log\""),
    );
    let (log, moved) = (palisade.dir().join("access.log"), palisade.dir().join("access.log.1"));
    let lines = |path: &Path, target: &str| {
        fs::read_to_string(path).unwrap_or_default().matches(&format!("\"target\":\"{target}\"")).count()
    };
    let mut client = palisade.client();
    assert_eq!(client.get("/before").status, 200);
    poll_until(SOON, "the line", || lines(&log, "/before") == 1);
    fs::rename(&log, &moved).unwrap();
    assert_eq!(client.get("/between").status, 200);
    poll_until(SOON, "the line in the file that was moved", || lines(&moved, "/between") == 1);
    palisade.signal(USER1);
    poll_until(SOON, "the new file", || log.exists());
    assert_eq!(client.get("/after").status, 200);
    poll_until(SOON, "the line in the new file", || lines(&log, "/after") == 1);
    assert_eq!((lines(&moved, "/after"), lines(&moved, "/before")), (0, 1));
    assert_eq!(palisade.metrics().sum("log_lines_dropped_total", &[]), 0.0);
}

#[test]
fn a_full_disk_costs_log_lines_and_no_requests() {
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "log.access = \"/dev/full\"");
    let mut client = palisade.client();
    for _ in 0..50 {
        canary_on(&mut client, &origin);
    }
    poll_until(SOON, "the lost lines to be counted", || {
        palisade.metrics().sum("log_lines_dropped_total", &[]) >= 50.0
    });
    canary_on(&mut client, &origin);
    palisade.wait_stderr("lines are lost", SOON);
    let complaints = palisade.stderr().matches("lines are lost").count();
    assert_eq!(complaints, 1, "{}", palisade.stderr());
}

/// The reader of the log is gone: nothing panics, nothing stops.
#[test]
fn a_closed_standard_output_is_survived() {
    let origin = Origin::echo();
    let dir = temp_dir();
    let file = dir.join("palisade.toml");
    let text = config(&format!("{}log.access = \"stdout\"", to(&origin)));
    fs::write(&file, text.replace("{dir}", dir.to_str().unwrap())).unwrap();
    let mut child = Reaped(
        Command::new(BINARY)
            .arg("run")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    drop(child.0.stdout.take());
    let mut stderr = BufReader::new(child.0.stderr.take().unwrap());
    let mut said = String::new();
    while !said.ends_with("palisade: ready\n") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended: {said}");
    }
    let address = |name: &str| -> Address {
        let start = format!("palisade: listener {name} on ");
        said.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
    };
    // Nobody reads what it says to the operator either.
    drop(stderr);
    for _ in 0..20 {
        canary(address("http"), &origin);
    }
    poll_until(SOON, "the lost lines to be counted", || {
        Metrics::scrape(address("admin")).sum("log_lines_dropped_total", &[]) >= 60.0
    });
    canary(address("http"), &origin);
    assert!(child.0.try_wait().unwrap().is_none());
}

/// A process of the test, ended with it.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Nobody reads the log and nobody closes it: the writer is stuck, the requests are not.
#[test]
fn a_log_that_blocks_holds_nobody_up() {
    let origin = Origin::echo();
    let dir = temp_dir();
    let pipe = dir.join("log.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Open for reading, never read.
    let reader = rustix::fs::open(
        &pipe,
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    let palisade = proxy_for(&origin, &format!("log.access = \"{}\"", pipe.display()));
    let mut client = palisade.client();
    let started = Instant::now();
    let padding = "x".repeat(4000);
    for _ in 0..400 {
        // About 1.6 MiB of lines, a pipe has 64 KiB.
        assert_eq!(client.get(&format!("/{padding}")).status, 200);
    }
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    canary_on(&mut client, &origin);
    drop(reader);
}

/// The process ends when its last lines are written, not before. They go to a pipe here, which takes nothing
/// until all workers have ended.
#[test]
fn the_last_lines_are_written_before_the_end() {
    const REQUESTS: usize = 60;
    let dir = temp_dir();
    let pipe = dir.join("log.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
    let reader = rustix::fs::open(&pipe, flags, rustix::fs::Mode::empty()).unwrap();
    let mut palisade = Palisade::start(
        BINARY,
        &config(&format!(
            "routes.a.respond = {{ status = 200 }}\nlog.access = \"{}\"\nserver.drain_timeout = \"20s\"",
            pipe.display()
        )),
    );
    // More than a pipe holds.
    let padding = "x".repeat(4000);
    let mut client = palisade.client();
    for number in 0..REQUESTS {
        assert_eq!(client.get(&format!("/{number}/{padding}")).status, 200);
    }
    palisade.signal(TERMINATE);
    poll_until(SOON, "the workers to end", || !palisade.is_running() || !has_workers(&palisade));
    // A process that does not wait for its log is gone in this time; one that does waits for seconds.
    let patience = Instant::now() + Duration::from_millis(500);
    while palisade.is_running() && Instant::now() < patience {
        thread::sleep(Duration::from_millis(5));
    }
    rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::empty()).unwrap();
    let mut written = String::new();
    fs::File::from(reader).read_to_string(&mut written).unwrap();
    for number in 0..REQUESTS {
        assert!(written.contains(&format!("\"target\":\"/{number}/")), "line {number} is lost");
    }
    assert!(palisade.wait_exit(SOON).success());
}

fn has_workers(palisade: &Palisade) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", palisade.pid())).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok())
        .any(|name| name.starts_with("worker-"))
}

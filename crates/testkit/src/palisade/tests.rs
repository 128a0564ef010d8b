//! The launcher against a shell script in place of Palisade: its "configuration" is the script that it runs.

use std::os::unix::process::ExitStatusExt;

use super::*;

const FAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/palisade/fake.sh");
const SOON: Duration = Duration::from_secs(10);

const SERVE: &str = r#"
    trap 'echo "palisade: bye" >&2; exit 3' TERM
    echo "palisade: listener http on 127.0.0.1:4000" >&2
    echo "palisade: listener inside on unix:{dir}/s" >&2
    echo "palisade: ready" >&2
    while :; do sleep 0.01; done"#;

#[test]
fn learns_the_addresses_and_waits_for_the_end() {
    let mut palisade = Palisade::start(FAKE, SERVE);
    assert_eq!(palisade.address("http"), "127.0.0.1:4000".parse().unwrap());
    assert_eq!(palisade.listener("inside"), Address::Unix(palisade.dir().join("s")));
    assert!(palisade.is_running());

    palisade.signal(15);
    palisade.wait_stderr("palisade: bye", SOON);
    assert_eq!(palisade.wait_exit(SOON).code(), Some(3));
    assert!(!palisade.is_running());
}

#[test]
fn a_later_listener_line_counts() {
    let listeners =
        parse_listeners("palisade: listener a on 1.1.1.1:1\npalisade: listener a on [::1]:2\nnoise\n");
    assert_eq!(listeners["a"], Address::Tcp("[::1]:2".parse().unwrap()));
    assert_eq!(listeners.len(), 1);
}

#[test]
fn passes_config_arguments_environment_and_limit() {
    let launch = Launch::new(FAKE).argument("--more").environment("WORD", "spoken").open_files(77);
    let palisade = launch.start(r#"echo "$1 $2 $4 $WORD $(ulimit -n) {dir}"; echo "palisade: ready" >&2"#);
    palisade.wait_stdout(&format!("run -c --more spoken 77 {}\n", palisade.dir().display()), SOON);

    palisade.rewrite_config("dir = {dir}");
    let text = fs::read_to_string(palisade.dir().join(CONFIG)).unwrap();
    assert_eq!(text, format!("dir = {}", palisade.dir().display()));
}

#[test]
fn reports_an_end_before_ready() {
    let started = Launch::new(FAKE).try_start("echo 'line 3: unknown key' >&2; exit 1");
    let error = started.err().expect("not ready");
    assert_eq!(error.status.and_then(|status| status.code()), Some(1));
    assert!(error.to_string().contains("line 3: unknown key"));
}

#[test]
fn gives_up_at_the_deadline() {
    let launch = Launch::new(FAKE).deadline(Duration::from_millis(50));
    let error = launch.try_start("echo still busy >&2; exec sleep 60").err().expect("not ready");
    assert_eq!(error.status, None);
}

#[test]
fn dropping_kills_the_process_and_removes_its_folder() {
    let palisade = Palisade::start(FAKE, SERVE);
    let (pid, folder) = (palisade.pid(), palisade.dir().to_path_buf());
    drop(palisade);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!folder.exists());
}

#[test]
fn a_killed_process_has_a_signal_and_no_code() {
    let mut palisade = Palisade::start(FAKE, SERVE);
    palisade.signal(9);
    assert_eq!(palisade.wait_exit(SOON).signal(), Some(9));
}

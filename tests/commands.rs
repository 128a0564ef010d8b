//! `palisade explain`, `proxy`, `demo`, `reload`, `status` and `stop`, from outside.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use testkit::{Client, H2Client, Metrics, Origin, Palisade, poll_until, temp_dir};

const SOON: Duration = Duration::from_secs(10);

fn palisade(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_palisade")).args(args).output().expect("the binary runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

// ---- explain ----

const SHOP: &str = r#"
[listeners.http]
address = "127.0.0.1:0"
[upstreams.app]
endpoints = ["10.0.0.1:80", { address = "10.0.0.2:80", weight = 3 }]
[routes.home]
host = "shop.example"
upstream = "app"
[routes.api]
host = "shop.example"
path = "/api"
methods = ["POST"]
strip_prefix = true
upstream = "app"
max_body_size = "10MiB"
compress = { levels = { br = 6 } }
decompress = true
[routes.old]
host = "old.example"
redirect = { to = "http://shop.example{path}{query}", status = 301 }
[routes.closed]
path = "/admin"
respond = { status = 403, body = "no" }
"#;

/// What `explain` says of a request to the shop.
fn explain(request: &[&str]) -> Output {
    let dir = temp_dir();
    let file = dir.join("shop.toml");
    fs::write(&file, SHOP).expect("a file");
    let file = file.to_string_lossy().into_owned();
    palisade(&[&["explain", "-c", &file], request].concat())
}

#[test]
fn explain_tells_route_and_upstream_and_why() {
    let told = explain(&["POST", "http://shop.example/api/./v1/../v2?x=1"]);
    let text = out(&told);
    assert!(told.status.success(), "{}", err(&told));
    for part in [
        "/api/v2 (canonical form of /api/./v1/../v2)",
        "yes  api ",
        "10.0.0.1:80, 10.0.0.2:80 (weight 3)",
        "POST /v2?x=1 HTTP/1.1",
        "at most 10 MiB",
        "nothing: Accept-Encoding does not ask for zstd or br or gzip",
        "what the client does not take",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }

    let text = out(&explain(&["POST", "http://shop.example/api/", "-H", "Accept-Encoding: gzip, br"]));
    assert!(text.contains("br at level 6, when it is text of any kind of 1 KiB or more"), "{text}");

    let text = out(&explain(&["http://shop.example/api/v2"]));
    assert!(text.contains("no   api") && text.contains("method"), "{text}");
    assert!(text.contains("yes  home "), "{text}");
}

#[test]
fn explain_tells_what_the_proxy_itself_answers() {
    assert!(out(&explain(&["http://old.example/a?b"])).contains("301 to http://shop.example/a?b"));
    assert!(out(&explain(&["http://any.example/x/../admin"])).contains("403 with 2 bytes"));
    assert!(out(&explain(&["http://any.example/"])).contains("404"));
    assert!(out(&explain(&["http://shop.example/a%2fb"])).contains("400"));
}

#[test]
fn explain_refuses_what_the_proxy_would_refuse() {
    for (request, said) in [
        (&["POST"][..], "the URL is missing"),
        (&["ftp://shop.example/"], "is not served"),
        (&["/path"], "names no host"),
        (&["http://a,b/"], "bad_host"),
        (&["http://shop.example/", "-H", "no colon"], "bad_syntax"),
    ] {
        let told = explain(request);
        assert_eq!(told.status.code(), Some(1), "{request:?}");
        assert!(err(&told).contains(said), "{request:?}: {}", err(&told));
    }
}

// ---- proxy and demo ----

/// A command that runs until it is told to end; its output is collected.
struct Running {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Running {
    fn start(args: &[&str]) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_palisade"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let said = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().expect("piped"), said.clone());
        collect(child.stderr.take().expect("piped"), said.clone());
        let running = Running { child, said };
        poll_until(SOON, "the command is ready", || running.said().contains("palisade: ready"));
        running
    }

    fn said(&self) -> String {
        self.said.lock().expect("no panic while held").clone()
    }

    /// Address of a listener.
    fn address(&self, name: &str) -> SocketAddr {
        let said = self.said();
        let line = said.lines().find_map(|line| line.strip_prefix(&format!("palisade: listener {name} on ")));
        line.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no {name} in {said}"))
    }

    /// Ctrl-C.
    fn interrupt(mut self) -> (bool, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is running");
        let mut ended = None;
        poll_until(SOON, "the command ends", || {
            ended = self.child.try_wait().expect("our child");
            ended.is_some()
        });
        (ended.is_some_and(|status| status.success()), self.said())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut said = into.lock().expect("no panic while held");
            said.push_str(&line);
            said.push('\n');
        }
    });
}

#[test]
fn a_proxy_needs_no_file() {
    let origin = Origin::echo();
    let to = origin.address().to_string();
    let running = Running::start(&["proxy", "--listen", "127.0.0.1:0", "--to", &to]);
    let mut client = Client::connect(running.address("http"));
    assert_eq!(client.get("/bytes/5").body.len(), 5);
    poll_until(SOON, "the access log is on standard output", || {
        running.said().contains("\"target\":\"/bytes/5\"")
    });
    let (ended_well, _) = running.interrupt();
    assert!(ended_well);
}

#[test]
fn what_a_proxy_prints_is_a_configuration() {
    let dir = temp_dir();
    let file = dir.join("printed.toml");
    let printed = palisade(&["proxy", "--listen", "127.0.0.1:8080", "--to", "127.0.0.1:3000", "--print"]);
    fs::write(&file, &printed.stdout).expect("a file");
    let checked = palisade(&["check", "-c", &file.to_string_lossy()]);
    assert!(checked.status.success(), "{}", err(&checked));
}

/// People paste URLs. What cannot be used is not printed.
#[test]
fn a_proxy_takes_urls_and_prints_nothing_wrong() {
    let dir = temp_dir();
    let file = dir.join("printed.toml");
    let printed =
        palisade(&["proxy", "--to", "http://127.0.0.1:3000/", "--to", "http://localhost", "--print"]);
    assert!(out(&printed).contains("\"127.0.0.1:3000\", \"localhost:80\""), "{}", out(&printed));
    fs::write(&file, &printed.stdout).expect("a file");
    let checked = palisade(&["check", "-c", &file.to_string_lossy()]);
    assert!(checked.status.success(), "{}", err(&checked));
    for wrong in ["https://127.0.0.1:3000", "http://127.0.0.1:3000/path", "nonsense"] {
        let printed = palisade(&["proxy", "--to", wrong, "--print"]);
        assert_eq!(printed.status.code(), Some(1), "{wrong}");
        assert_eq!(out(&printed), "", "{wrong}");
        assert!(err(&printed).contains("error:"), "{wrong}: {}", err(&printed));
    }
}

#[test]
fn the_demo_does_what_it_says() {
    let running = Running::start(&["demo", "--listen", "127.0.0.1:0"]);
    let address = running.address("http");
    poll_until(SOON, "it prints what to try", || running.said().contains("Ctrl-C ends it."));
    assert!(running.said().matches("curl ").count() >= 5, "{}", running.said());

    let mut client = Client::connect(address);
    let colours: Vec<String> =
        (0..6).map(|_| client.get("/").header("X-Colour").expect("a colour").to_owned()).collect();
    assert_eq!(colours.iter().filter(|colour| *colour == "blue").count(), 4, "{colours:?}");
    assert!(client.get("/api/./a/../colour").text().contains("GET /colour HTTP/1.1"));
    assert!(client.get("/events").text().contains("event 5 of 5"));
    assert_eq!(client.get("/old?x=1").header("Location"), Some("/api?x=1"));
    assert_eq!(client.get("/private").status, 403);
    assert!(H2Client::connect(address).get("/").text().contains("Hello from"));
    let stock = client.get("/stock");
    assert!(stock.text().contains("\"asked_by\":\"127.0.0.1\"") && !stock.text().contains("supplier"));
    let shelf = client.get("/shelf");
    assert!(shelf.text().ends_with("\"price\":{\"amount\":12.50,\"currency\":\"EUR\"}}"), "{}", shelf.text());
    assert!(client.get("/translated").text().starts_with("Greetings by way of "));
    let stranger = client.get("/members");
    assert_eq!((stranger.status, stranger.header("WWW-Authenticate")), (401, Some("Basic realm=\"demo\"")));
    let alice = client.request("GET", "/members", &[("Authorization", "Basic YWxpY2U6b3Blbg==")], b"");
    assert!(alice.text().contains("X-Auth-User: alice"), "{}", alice.text());
    let upload = client.request("POST", "/upload", &[], &[b'x'; 100_000]);
    assert!(upload.text().contains("received 100000 bytes"), "{}", upload.text());
    let mut admin = Client::connect(running.address("admin"));
    assert!(admin.get("/metrics").text().contains("palisade_requests_total"));
    let late = client.request("GET", "/api/slow", &[("Accept", "text/html")], b"");
    assert!(late.text().contains("<h1>504: it took too long</h1>"), "{}", late.text());

    let folder = running.said();
    let folder = folder.lines().find_map(|line| line.split(" -c ").nth(1)).expect("it names its file");
    let file = folder.split(' ').next().expect("a path").to_owned();
    assert!(palisade(&["check", "-c", &file]).status.success());
    let (ended_well, said) = running.interrupt();
    assert!(ended_well, "{said}");
    assert!(!fs::exists(&file).expect("a path"), "it leaves nothing behind");
}

// ---- reload, status, stop ----

#[test]
fn a_running_proxy_is_asked_over_its_socket() {
    let origin = Origin::echo();
    let config = |path: &str| {
        format!(
            "[listeners.http]\naddress = \"127.0.0.1:0\"\n[upstreams.app]\nendpoints = [\"{}\"]\n\
             [routes.a]\npath = \"{path}\"\nupstream = \"app\"\n[admin]\nsocket = \"{{dir}}/admin.sock\"\n",
            origin.address()
        )
    };
    let mut running = Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config("/bytes"));
    let socket = running.dir().join("admin.sock").to_string_lossy().into_owned();
    let mut client = Client::connect(running.address("http"));
    assert_eq!(client.get("/bytes/5").status, 200);

    let status = palisade(&["status", "--socket", &socket]);
    assert!(out(&status).contains(&origin.address().to_string()), "{}{}", out(&status), err(&status));

    running.rewrite_config(&config("/status"));
    let reloaded = palisade(&["reload", "--socket", &socket]);
    assert!(reloaded.status.success() && out(&reloaded).contains("reloaded"), "{}", err(&reloaded));
    assert_eq!(client.get("/bytes/5").status, 404);

    running.rewrite_config("[listeners.http]\nadress = \"127.0.0.1:0\"\n");
    let refused = palisade(&["reload", "--socket", &socket]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("did you mean `address`?"), "{}", err(&refused));
    assert_eq!(client.get("/status/200").status, 200, "the old configuration serves on");

    assert!(palisade(&["stop", "--socket", &socket]).status.success());
    assert!(running.wait_exit(SOON).success());
    let nobody = palisade(&["status", "--socket", &socket]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(err(&nobody).contains("nobody answers"), "{}", err(&nobody));
}

/// A file that is wrong names the socket all the same, and the running proxy hears of it.
#[test]
fn a_reload_with_a_wrong_file_is_one_that_failed() {
    let config = |more: &str| {
        format!(
            "[listeners.http]\naddress = \"127.0.0.1:0\"\n[routes.a]\nrespond = {{ status = 204 }}\n{more}\n\
             [admin]\naddress = \"127.0.0.1:0\"\nsocket = \"{{dir}}/admin.sock\"\n"
        )
    };
    let running = Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config(""));
    let file = running.dir().join("palisade.toml").to_string_lossy().into_owned();
    let failed = || Metrics::scrape(running.address("admin")).sum("failed_reloads_total", &[]);
    running.rewrite_config(&config("pth = \"/x\""));
    let refused = palisade(&["reload", "-c", &file]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("did you mean `path`?"), "{}", err(&refused));
    assert_eq!(failed(), 1.0);
    // Where not even the socket can be read, nobody is asked, and that is said.
    running.rewrite_config("[[[");
    let refused = palisade(&["reload", "-c", &file]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("was not asked"), "{}", err(&refused));
    assert_eq!(failed(), 1.0);
    running.rewrite_config(&config(""));
    assert!(palisade(&["reload", "-c", &file]).status.success());
}

#[test]
fn the_status_tells_what_runs_and_where() {
    let config = |more: &str| {
        format!(
            "[listeners.http]\naddress = \"127.0.0.1:0\"\n[routes.a]\nrespond = {{ status = 204 }}\n{more}\n\
             [admin]\naddress = \"127.0.0.1:0\"\nsocket = \"{{dir}}/admin.sock\"\n[server]\nworkers = 2\n"
        )
    };
    let running = Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config(""));
    let socket = running.dir().join("admin.sock").to_string_lossy().into_owned();
    let _client = Client::connect(running.address("http"));
    poll_until(SOON, "the connection to be shown", || {
        out(&palisade(&["status", "--socket", &socket])).contains("connections 1\n")
    });
    let status = out(&palisade(&["status", "--socket", &socket]));
    let listener = format!("listener    http on {}\n", running.address("http"));
    for part in
        [concat!("version     ", env!("CARGO_PKG_VERSION")), "up          ", "workers     2\n", &listener]
    {
        assert!(status.contains(part), "no {part:?} in:\n{status}");
    }
    running.rewrite_config(&config("[listeners.more]\naddress = \"unix:{dir}/more.sock\""));
    assert!(palisade(&["reload", "--socket", &socket]).status.success());
    let status = out(&palisade(&["status", "--socket", &socket]));
    assert!(status.contains("listener    more on unix:"), "{status}");
}

/// The start page of the admin address names all that is there, and that is there.
#[test]
fn the_admin_address_tells_what_it_has() {
    let running = Palisade::start(
        env!("CARGO_BIN_EXE_palisade"),
        "listeners.http.address = \"127.0.0.1:0\"\nroutes.a.respond = { status = 204 }\n\
         admin.address = \"127.0.0.1:0\"\nadmin.socket = \"{dir}/admin.sock\"\n",
    );
    let mut client = Client::connect(running.address("admin"));
    let index = client.get("/");
    assert_eq!(index.status, 200);
    let pages: Vec<&str> = index.text().lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert!(pages.len() >= 5 && !index.text().contains("POST"), "{}", index.text());
    for page in pages {
        assert_eq!(client.get(page).status, 200, "{page}");
    }
    assert!(Client::connect(running.listener("admin-socket")).get("/").text().contains("POST /reload"));
}

#[test]
fn a_name_is_resolved() {
    let origin = Origin::echo();
    let port = origin.address().tcp().port();
    let config = format!(
        "[listeners.http]\naddress = \"127.0.0.1:0\"\n[upstreams.app]\nendpoints = [\"localhost:{port}\"]\n\
         [routes.a]\nupstream = \"app\"\n"
    );
    let running = Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config);
    assert_eq!(Client::connect(running.address("http")).get("/bytes/5").body.len(), 5);
}

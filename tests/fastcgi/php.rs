//! php-fpm for a judge: what it makes of our records, and we of its.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testkit::{Client, H2Client, Metrics, Palisade, TempDir, pattern, poll_until, temp_dir};

use crate::stage::SOON;

const SCRIPTS: &[(&str, &str)] = &[
    ("index.php", r#"<?php echo "index of ", $_SERVER['SCRIPT_NAME'], "\n";"#),
    // Sorted, one a line.
    (
        "dump.php",
        r#"<?php ksort($_SERVER); foreach ($_SERVER as $k => $v) if (is_string($v)) echo "$k=$v\n";"#,
    ),
    (
        "echo.php",
        r#"<?php header('X-Type: ' . ($_SERVER['CONTENT_TYPE'] ?? 'none')); readfile('php://input');"#,
    ),
    ("form.php", r#"<?php echo $_POST['a'], '|', $_POST['b'];"#),
    (
        "upload.php",
        r#"<?php $f = $_FILES['file']; echo $f['name'], '|', $f['size'], '|', sha1_file($f['tmp_name']);"#,
    ),
    (
        "status.php",
        r#"<?php http_response_code((int)$_GET['s']); header('X-A: 1'); setcookie('a', '1'); setcookie('b', '2'); echo 'body';"#,
    ),
    ("move.php", r#"<?php header('Location: /elsewhere');"#),
    (
        "long.php",
        r#"<?php for ($i = 0; $i < 3072; $i++) { echo str_repeat(chr(97 + $i % 26), 1024); if ($i % 7 == 0) flush(); }"#,
    ),
    ("told.php", r#"<?php header('Content-Length: 5'); echo 'exact';"#),
    ("short.php", r#"<?php header('Content-Length: 50'); echo 'less'; flush();"#),
    ("more.php", r#"<?php header('Content-Length: 2'); echo 'ok and more'; flush(); echo 'and more';"#),
    ("warn.php", r#"<?php error_log("a warning\nin two lines"); echo 'fine';"#),
    ("exit.php", r#"<?php echo 'before'; exit(3);"#),
    ("fatal.php", r#"<?php undefined_function();"#),
    (
        "die.php",
        r#"<?php header('X-A: 1'); echo str_repeat('x', 100000); flush(); exec('kill -9 ' . getmypid()); sleep(10);"#,
    ),
    (
        "live.php",
        r#"<?php echo "first\n"; flush(); while (!file_exists($_GET['f'])) usleep(2000); echo "second\n";"#,
    ),
    ("pid.php", r#"<?php echo getmypid();"#),
];

/// A running php-fpm with the scripts; its socket is `php.sock` below `dir`.
struct Php {
    child: Child,
    dir: TempDir,
}

impl Php {
    /// `fix_pathinfo` is PHP's setting: 0 as docs/fastcgi.md asks for, 1 as it is else.
    fn start(fix_pathinfo: u8) -> Php {
        let dir = temp_dir();
        let www = dir.join("www");
        fs::create_dir_all(www.join("app")).unwrap();
        for (name, script) in SCRIPTS {
            fs::write(www.join(name), script).unwrap();
        }
        fs::write(www.join("app/index.php"), SCRIPTS[0].1).unwrap();
        fs::write(www.join("evil.jpg"), "<?php echo 'EVIL';").unwrap();
        let socket = dir.join("php.sock");
        let is_root = fs::metadata(&www).unwrap().uid() == 0;
        let user = if is_root { "user = root\ngroup = root\n" } else { "" };
        let config = format!(
            "[global]\nerror_log = {log}\ndaemonize = no\n[www]\n{user}listen = {socket}\npm = static\n\
             pm.max_children = 3\nping.path = /ping\nphp_admin_flag[log_errors] = on\n\
             php_admin_flag[display_errors] = off\n",
            log = dir.join("fpm.log").display(),
            socket = socket.display(),
        );
        fs::write(dir.join("fpm.conf"), config).unwrap();
        let mut command = Command::new(program());
        // Without the settings of the system.
        command
            .args(["-n", "-F", "-d", &format!("cgi.fix_pathinfo={fix_pathinfo}"), "-y"])
            .arg(dir.join("fpm.conf"));
        if is_root {
            command.arg("-R");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("start php-fpm");
        poll_until(SOON, "the socket of php-fpm", || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        Php { child, dir }
    }

    fn palisade(&self, keep: bool) -> Palisade {
        let (socket, www) = (self.dir.join("php.sock"), self.dir.join("www"));
        let config = format!(
            r#"
            listeners.http = {{ address = "127.0.0.1:0", http2 = true }}
            admin.address = "127.0.0.1:0"
            log.access = "{{dir}}/access.log"
            server.workers = 1
            [upstreams.php]
            endpoints = ["unix:{socket}"]
            protocol = "fastcgi"
            fastcgi = {{ root = "{www}", path_info = true, keep_connections = {keep}, params = {{ APP_ENV = "test {{method}}" }} }}
            pool = {{ max_connections = {max} }}
            health = {{ path = "/ping", body = "pong", start = "down", interval = "50ms" }}
            [upstreams.front]
            endpoints = ["unix:{socket}"]
            protocol = "fastcgi"
            fastcgi = {{ root = "{www}", front = "/dump.php" }}
            [routes.php]
            upstream = "php"
            [routes.front]
            path = "/pretty"
            upstream = "front"
            "#,
            socket = socket.display(),
            www = www.display(),
            // With one process left for checks and for the other upstream; without, more than there are.
            max = if keep { 2 } else { 20 },
        );
        let palisade = Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config);
        // Its ping is answered, or nobody would be asked at all.
        poll_until(SOON, "a check that passes", || palisade.client().get("/told.php").status == 200);
        palisade
    }
}

impl Drop for Php {
    fn drop(&mut self) {
        // SIGQUIT would wait for its children; this ends them.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    // Its name has the version in it.
    let programs = fs::read_dir("/usr/sbin").into_iter().flatten().flatten().map(|entry| entry.path());
    let is_php = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("php-fpm"))
    };
    programs.into_iter().find(is_php).expect("php-fpm is missing; `cargo xtask test` installs it")
}

#[test]
fn php_understands_us_and_we_understand_php() {
    story(0, true);
}

#[test]
fn also_a_php_that_looks_for_path_info_itself() {
    story(1, false);
}

fn story(fix_pathinfo: u8, keep: bool) {
    let php = Php::start(fix_pathinfo);
    let palisade = php.palisade(keep);
    let mut client = palisade.client();
    let www = php.dir.join("www").display().to_string();

    // What PHP sees of a request.
    let fields =
        [("X-Real-IP", "6.6.6.6"), ("Proxy", "evil"), ("Cookie", "a=1"), ("Authorization", "Basic dTpw")];
    let seen = client.request("GET", "/dump.php/in/fo%20x?a=b&c", &fields, b"");
    let seen = seen.text();
    for line in [
        "APP_ENV=test GET",
        &format!("DOCUMENT_ROOT={www}"),
        "GATEWAY_INTERFACE=CGI/1.1",
        "HTTP_COOKIE=a=1",
        "HTTP_X_REAL_IP=127.0.0.1",
        "PATH_INFO=/in/fo x",
        "PHP_AUTH_USER=u",
        "QUERY_STRING=a=b&c",
        "REMOTE_ADDR=127.0.0.1",
        "REQUEST_METHOD=GET",
        "REQUEST_URI=/dump.php/in/fo%20x?a=b&c",
        &format!("SCRIPT_FILENAME={www}/dump.php"),
        "SCRIPT_NAME=/dump.php",
        "SERVER_PROTOCOL=HTTP/1.1",
    ] {
        assert!(seen.lines().any(|own| own == line), "{line} is not in\n{seen}");
    }
    assert!(!seen.contains("HTTP_PROXY") && !seen.contains("6.6.6.6") && !seen.contains("evil"));
    let pretty = client.get("/pretty/news/7?x=1");
    assert!(pretty.text().contains("REQUEST_URI=/pretty/news/7?x=1\n"), "{}", pretty.text());
    assert!(pretty.text().contains("SCRIPT_NAME=/dump.php\n"));

    // Names that PHP would fold into ours.
    let mut raw = palisade.client();
    raw.send(
        "GET /dump.php HTTP/1.1\r\nHost: a\r\nX.Real.IP: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\nX-Real.IP: 6.6.6.6\r\n\
         X[Real-IP: 6.6.6.6\r\nX+Real+IP: 6.6.6.6\r\nPHP_VALUE: auto_prepend_file=/etc/passwd\r\n\r\n",
    );
    let response = raw.try_read_response();
    assert!(response.is_ok_and(|seen| seen.status == 400 || !seen.text().contains("6.6.6.6")));

    // Scripts by path.
    assert_eq!(client.get("/").text(), "index of /index.php\n");
    assert_eq!(client.get("/app/").text(), "index of /app/index.php\n");
    assert_eq!(client.get("/evil.jpg").status, 404);
    let evil = client.get("/evil.jpg/x.php");
    // PHP that looks for the script itself finds evil.jpg, and refuses it for its ending.
    assert_eq!(evil.status, if fix_pathinfo == 0 { 404 } else { 403 });
    assert!(!evil.text().contains("EVIL"), "{}", evil.text());
    assert_eq!(client.get("/missing.php").status, 404);
    // What is behind a script is for the script, and never one itself.
    let behind = client.get("/dump.php/evil.jpg");
    assert!(behind.text().contains("SCRIPT_NAME=/dump.php\n") && !behind.text().contains("EVIL"));

    // Bodies in.
    let body = pattern(300_000);
    let echoed = client.request("POST", "/echo.php", &[("Content-Type", "a/b")], &body);
    assert_eq!(echoed.header("X-Type"), Some("a/b"));
    assert!(echoed.body == body);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(client.request("POST", "/form.php", &form, b"a=1%202&b=x").text(), "1 2|x");
    let boundary = [("Content-Type", "multipart/form-data; boundary=b0und")];
    let upload = [
        b"--b0und\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.bin\"\r\n\r\n".to_vec(),
        pattern(200_000),
        b"\r\n--b0und--\r\n".to_vec(),
    ]
    .concat();
    let uploaded = client.request("POST", "/upload.php", &boundary, &upload);
    assert!(uploaded.text().starts_with("f.bin|200000|"), "{}", uploaded.text());
    let over_http2 = H2Client::connect(palisade.address("http")).request("POST", "/echo.php", &[], &body);
    assert!(over_http2.body == body);

    // Answers out.
    let status = client.get("/status.php?s=418");
    assert_eq!((status.status, status.text(), status.header("X-A")), (418, "body", Some("1")));
    assert_eq!(status.headers.all("Set-Cookie").len(), 2);
    let moved = client.get("/move.php");
    assert_eq!((moved.status, moved.header("Location")), (302, Some("/elsewhere")));
    let head = client.request("HEAD", "/told.php", &[], b"");
    assert_eq!((head.status, head.header("Content-Length")), (200, Some("5")));
    assert_eq!(client.get("/told.php").text(), "exact");
    let long = client.get("/long.php");
    assert_eq!(long.body.len(), 3 << 20);
    assert!(long.body.chunks(1024).enumerate().all(|(i, kib)| kib.iter().all(|c| *c == 97 + (i % 26) as u8)));
    assert_eq!(client.get("/exit.php").text(), "before");
    assert_eq!(client.get("/fatal.php").status, 500);
    assert_eq!(client.get("/more.php").text(), "ok");
    // At most one a second is told.
    poll_until(SOON, "the warning", || {
        assert_eq!(client.get("/warn.php").text(), "fine");
        palisade.stderr().contains("says: PHP message: a warning\\nin two lines")
    });
    let metrics = Metrics::scrape(palisade.address("admin"));
    assert!(metrics.sum("upstream_events_total", &["event=\"application_error\""]) >= 2.0);

    // One process serves one connection, when that is kept.
    let pids: Vec<String> = (0..5).map(|_| client.get("/pid.php").text().to_owned()).collect();
    assert!(!keep || pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    a_crowd(&palisade);

    answers_that_end_too_soon(&palisade);
    a_page_in_two_pieces(&palisade, &php.dir.join("go"));
    assert_eq!(palisade.client().get("/told.php").text(), "exact");
}

/// Many more than there are processes: none of them waits for one that keeps an idle connection.
fn a_crowd(palisade: &Palisade) {
    std::thread::scope(|scope| {
        for _ in 0..30 {
            scope.spawn(|| {
                let mut client = palisade.client();
                for _ in 0..10 {
                    assert_eq!(client.get("/told.php").text(), "exact");
                }
            });
        }
    });
}

fn answers_that_end_too_soon(palisade: &Palisade) {
    for target in ["/short.php", "/die.php"] {
        let mut client = palisade.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let status = client.try_read_response().map(|answer| answer.status);
        assert!(!matches!(status, Ok(200)), "{target} {status:?}");
        let line = palisade.wait_access_log(1, |line| line.contains(target)).remove(0);
        assert!(line.contains("upstream_truncated"), "{line}");
    }
}

fn a_page_in_two_pieces(palisade: &Palisade, go: &Path) {
    let mut client = Client::connect(palisade.address("http"));
    client.send(format!("GET /live.php?f={} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", go.display()));
    poll_until(SOON, "the first piece", || {
        client.is_closed(Duration::from_millis(20));
        client.unread().contains("first\n")
    });
    assert!(!client.unread().contains("second"));
    fs::write(go, "").unwrap();
    let mut rest = String::new();
    let _ = client.stream().read_to_string(&mut rest);
    assert!(format!("{}{rest}", client.unread()).contains("second\n"));
}

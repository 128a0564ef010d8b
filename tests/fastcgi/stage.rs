//! One proxy before one scripted FastCGI server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use testkit::{Client, FastCgi, FastCgiRequest, Palisade, Script, fastcgi};

/// For what happens at once unless it never does.
pub const SOON: Duration = Duration::from_secs(10);

pub struct Stage {
    pub palisade: Palisade,
    pub server: FastCgi,
}

impl Stage {
    /// Canaries are answered as they should be, everything else by `script`. Below `/stream` bodies are passed on as
    /// they come, below `/front` paths without a script are for `/front.php`, below `/quick` silence is short.
    pub fn new(script: impl Fn(&FastCgiRequest, usize) -> Script + Send + Sync + 'static) -> Stage {
        let server =
            FastCgi::start(move |request, number| canary(request).unwrap_or_else(|| script(request, number)));
        Stage::before(server, "")
    }

    /// `more` is further configuration, before any server.
    pub fn before(server: FastCgi, more: &str) -> Stage {
        let config = format!(
            r#"
            listeners.http = {{ address = "127.0.0.1:0", http2 = true }}
            admin.address = "127.0.0.1:0"
            log.access = "{{dir}}/access.log"
            server.workers = 1
            upstreams.php = {{ endpoints = ["{0}"], protocol = "fastcgi", fastcgi = {{ root = "/srv/www", path_info = true, keep_connections = true }}, pool = {{ max_connections = 100 }} }}
            upstreams.front = {{ endpoints = ["{0}"], protocol = "fastcgi", fastcgi = {{ root = "/", front = "/front.php", path_info = true, keep_connections = true }}, pool = {{ max_connections = 100 }} }}
            routes.all.upstream = "php"
            routes.stream = {{ path = "/stream", upstream = "php", request_body = "stream" }}
            routes.front = {{ path = "/front", upstream = "front" }}
            routes.quick = {{ path = "/quick", upstream = "php", timeouts = {{ read = "500ms" }}, retry = {{ attempts = 0 }} }}
            {more}
            "#,
            server.address()
        );
        Stage { palisade: Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config), server }
    }

    pub fn front(&self) -> SocketAddr {
        self.palisade.address("http")
    }

    pub fn client(&self) -> Client {
        Client::connect(self.front())
    }

    /// Three honest requests get the answers to their own questions, each was asked once, and the server saw no broken
    /// rule: three, because a connection that was poisoned may not be the first to be used again.
    #[track_caller]
    pub fn canary(&self) {
        static NEXT: AtomicUsize = AtomicUsize::new(1_000_001);
        let mut client = self.client();
        for _ in 0..3 {
            let number = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
            let target = format!("/canary-{number}.php");
            let response = client.get(&target);
            assert_eq!((response.status, response.text()), (200, number.as_str()), "the answer to {target}");
            assert_eq!(client.unread(), "", "bytes after the answer to {target}");
            let asked = |request: &FastCgiRequest| request.param("SCRIPT_NAME") == Some(&target);
            assert_eq!(self.server.requests().iter().filter(|request| asked(request)).count(), 1, "{target}");
        }
        assert_eq!(self.server.violations(), [""; 0]);
    }

    /// A line of the access log about a target that has this in it.
    #[track_caller]
    pub fn log_line(&self, target: &str) -> String {
        self.palisade.wait_access_log(1, |line| line.contains(target)).remove(0)
    }
}

/// The answer to `/canary-N.php` is `N`.
pub fn canary(request: &FastCgiRequest) -> Option<Script> {
    let number = request.param("SCRIPT_NAME")?.strip_prefix("/canary-")?.strip_suffix(".php")?;
    Some(plain(number))
}

/// A usual answer with a length.
pub fn plain(body: &str) -> Script {
    Script::new().send(fastcgi::answer(format!(
        "Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )))
}

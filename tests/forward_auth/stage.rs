//! A proxy between a client, an auth service that follows a script, and an origin that records.

use testkit::{Client, H2Client, Origin, Palisade, RecordedRequest, Script, canary};

pub struct Stage {
    pub palisade: Palisade,
    pub auth: Origin,
    pub origin: Origin,
}

/// What the routes of most stories say.
pub const APP: &str = r#"
    [routes.app]
    path = "/app"
    upstream = "origin"
    [routes.app.forward_auth]
    upstream = "auth"
    path = "/verify"
    timeout = "30s"
    identity = ["X-Auth-User", "X-Auth-Groups"]
    require_identity = ["X-Auth-User"]
"#;

impl Stage {
    /// `routes` may use the upstreams `auth`, which answers by `script`, and `origin`, which echoes. Requests that no
    /// route of theirs takes go to the origin unasked.
    pub fn new(routes: &str, script: fn(&str) -> Script) -> Stage {
        let auth = Origin::scripted(move |request, _| {
            script(request.header("X-Forwarded-Uri").unwrap_or("the question says nothing"))
        });
        Stage::with(auth, Origin::echo(), routes)
    }

    pub fn with(auth: Origin, origin: Origin, routes: &str) -> Stage {
        let config = format!(
            r#"
            log.access = "{{dir}}/access.log"
            server.workers = 1
            admin.address = "127.0.0.1:0"
            listeners.http = {{ address = "127.0.0.1:0", http2 = true }}
            upstreams.auth.endpoints = ["{}"]
            upstreams.origin.endpoints = ["{}"]
            routes.canary = {{ upstream = "origin", forward_auth = false }}
            {routes}
            "#,
            auth.address(),
            origin.address()
        );
        Stage { palisade: Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config), auth, origin }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.palisade.address("http"))
    }

    pub fn http2(&self) -> H2Client {
        H2Client::connect(self.palisade.address("http"))
    }

    /// The last question.
    #[track_caller]
    pub fn question(&self) -> RecordedRequest {
        self.auth.requests().pop().expect("a question")
    }

    /// The last request that reached the origin.
    #[track_caller]
    pub fn arrived(&self) -> RecordedRequest {
        self.origin.requests().pop().expect("a request at the origin")
    }

    /// Nothing at all was sent to the origin.
    #[track_caller]
    pub fn origin_is_untouched(&self, story: &str) {
        assert_eq!(self.origin.connections(), Vec::<Vec<u8>>::new(), "{story}");
    }

    #[track_caller]
    pub fn ends_well(&self) {
        assert_eq!(self.auth.violations(), [""; 0], "rules that questions broke");
        canary(self.palisade.address("http"), &self.origin);
    }
}

/// Lets everybody pass, as alice of two groups.
pub fn alice(_: &str) -> Script {
    Script::answer_with(200, &[("X-Auth-User", "alice"), ("X-Auth-Groups", "staff,admin")], "fine\n")
}

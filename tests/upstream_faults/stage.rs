//! A proxy before origins that break.

use testkit::{Address, Origin, Palisade, RecordedRequest, SOON, Script, poll_until};

/// A proxy before these endpoints; `more` are further keys.
pub fn proxy(endpoints: &[Address], more: &str) -> Palisade {
    let endpoints: Vec<String> = endpoints.iter().map(|address| format!("\"{address}\"")).collect();
    let endpoints = endpoints.join(", ");
    Palisade::start(
        env!("CARGO_BIN_EXE_palisade"),
        &format!(
            r#"
            listeners.http.address = "127.0.0.1:0"
            upstreams.origin.endpoints = [{endpoints}]
            routes.all.upstream = "origin"
            admin.address = "127.0.0.1:0"
            log.access = "stdout"
            {more}
            "#
        ),
    )
}

pub fn proxy_for(origin: &Origin, more: &str) -> Palisade {
    proxy(&[origin.address()], more)
}

/// One worker, so that what one request leaves in the pool is what the next one meets.
pub const ONE_WORKER: &str = "server.workers = 1";

/// The log says why, for the request with this target.
#[track_caller]
pub fn expect_reason(palisade: &Palisade, target: &str, reason: &str) {
    let target = format!("\"target\":\"{target}\"");
    let reason = format!("\"reason\":\"{reason}\"");
    poll_until(SOON, &format!("a log line with {target} and {reason}"), || {
        let log = palisade.stdout();
        let line = log.lines().rev().find(|line| line.contains(&target));
        if let Some(line) = line {
            assert!(line.contains(&reason), "no {reason} in {line}");
        }
        line.is_some()
    });
}

/// Answers canaries like the echo service, and everything else by `script`.
pub fn canaries_and(script: impl Fn(&RecordedRequest) -> Script + Send + Sync + 'static) -> Origin {
    Origin::scripted(move |request, _| {
        if request.target.starts_with("/canary-") { Script::echo(request) } else { script(request) }
    })
}

//! Which endpoint a request goes to.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use testkit::{Client, Palisade, poll_until};

use crate::stage::{SOON, Server, client_of, config, metrics_of, proxy, served, wait_up};

fn count(names: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name.as_str()).or_default() += 1;
    }
    counts
}

/// An upstream with these lines and endpoints with what is written behind each address.
fn weighted(servers: &[(&Server, &str)], more: &str) -> Palisade {
    let endpoints: Vec<String> = servers
        .iter()
        .map(|(server, more)| format!("{{ address = \"{}\"{more} }}", server.address()))
        .collect();
    Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config(&endpoints.join(", "), more))
}

#[test]
fn round_robin_keeps_weights_exactly_and_interleaves() {
    let [a, b, c] = [Server::start("a"), Server::start("b"), Server::start("c")];
    let palisade = weighted(&[(&a, ", weight = 5"), (&b, ", weight = 2"), (&c, ", weight = 1")], "");
    let mut client = client_of(&palisade);
    for _ in 0..3 {
        let names = served(&mut client, 8);
        assert_eq!(count(&names), BTreeMap::from([("a", 5), ("b", 2), ("c", 1)]));
        assert!(!names.join("").contains("aaaa"), "{names:?}");
    }
}

/// An endpoint that does not come to an end has requests under way: new ones go to the other.
#[test]
fn least_connections_and_p2c_pass_by_who_is_busy() {
    for balance in ["least_connections", "p2c"] {
        let [a, b] = [Server::start("a"), Server::start("b")];
        let palisade = proxy(&[&a, &b], &format!("upstreams.app.balance = \"{balance}\""));
        a.is_silent();
        // Until one of them hangs at a.
        let mut waiting = Vec::new();
        poll_until(SOON, "a request at a", || {
            let mut client = client_of(&palisade);
            client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
            waiting.push(client);
            a.requests() > 0
        });
        a.answers(200);
        let numbers = |name: &str| {
            let label = format!("endpoint=\"{}\"", b.address());
            metrics_of(&palisade).sum(name, &[&label])
        };
        poll_until(SOON, "b is free", || {
            numbers("upstream_connections") == numbers("upstream_idle_connections")
        });
        assert_eq!(served(&mut client_of(&palisade), 12), ["b"; 12], "{balance}");
    }
}

#[test]
fn least_time_prefers_who_answers_sooner() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    a.waits(Duration::from_millis(50));
    let palisade = proxy(&[&a, &b], "upstreams.app.balance = \"least_time\"");
    let names = served(&mut client_of(&palisade), 40);
    let counts = count(&names);
    assert!(counts["b"] >= 35 && counts["a"] >= 1, "{counts:?}");
}

#[test]
fn random_is_by_weight() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade = weighted(&[(&a, ", weight = 3"), (&b, "")], "upstreams.app.balance = \"random\"");
    let names = served(&mut client_of(&palisade), 400);
    let a = count(&names)["a"];
    // 300 expected, standard deviation 8.7.
    assert!((250..350).contains(&a), "{a}");
}

/// Who is asked for key `n`, in the way that `ask` asks.
fn owners(palisade: &Palisade, ask: impl Fn(&mut Client, usize) -> testkit::Response) -> Vec<String> {
    let mut client = client_of(palisade);
    (0..60).map(|key| ask(&mut client, key).header("Served-By").unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_key_keeps_its_endpoint_and_loses_it_only_with_it() {
    let [a, b, c] = [Server::start("a"), Server::start("b"), Server::start("c")];
    type Ask = fn(&mut Client, usize) -> testkit::Response;
    let cases: [(&str, Ask); 4] = [
        ("{ header = \"X-User\" }", |client, key| {
            client.request("GET", "/", &[("x-user", &key.to_string())], b"")
        }),
        ("{ cookie = \"sid\" }", |client, key| {
            client.request("GET", "/", &[("Cookie", &format!("a=b; sid={key}"))], b"")
        }),
        ("{ query = \"user\" }", |client, key| client.get(&format!("/?x=1&user={key}"))),
        ("\"path\"", |client, key| client.get(&format!("/{key}"))),
    ];
    for (on, ask) in cases {
        let more = format!("upstreams.app.balance = \"consistent_hash\"\nupstreams.app.hash_on = {on}");
        let palisade = proxy(&[&a, &b, &c], &more);
        let owned = owners(&palisade, ask);
        assert_eq!(owners(&palisade, ask), owned, "{on}");
        assert_eq!(count(&owned).len(), 3, "{on}: {owned:?}");
        // Another process, the endpoints in another order: the same owners.
        assert_eq!(owners(&proxy(&[&c, &a, &b], &more), ask), owned, "{on}");
        // Without b only its keys move.
        let without = owners(&proxy(&[&a, &c], &more), ask);
        for (key, (before, after)) in owned.iter().zip(&without).enumerate() {
            assert!(before == after || before == "b", "{on}, key {key}: {before} {after}");
        }
    }
}

#[test]
fn explain_shows_who_owns_a_key() {
    let [a, b, c] = [Server::start("a"), Server::start("b"), Server::start("c")];
    let more = "upstreams.app.balance = \"consistent_hash\"\nupstreams.app.hash_on = { query = \"user\" }";
    let palisade = proxy(&[&a, &b, &c], more);
    for user in 0..5 {
        let response = client_of(&palisade).get(&format!("/?user={user}"));
        let served_by = response.header("Served-By").expect("a name");
        let server = [&a, &b, &c].into_iter().find(|server| server.name == served_by).expect("one of them");
        let output = Command::new(env!("CARGO_BIN_EXE_palisade"))
            .args(["explain", "-c"])
            .arg(palisade.dir().join("palisade.toml"))
            .arg(format!("http://app/?user={user}"))
            .output()
            .expect("explain runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("consistent hash of the parameter user"), "{text}");
        assert!(text.contains(&format!("picks      {}, while it is up", server.address())), "{text}");
    }
}

#[test]
fn ip_hash_keeps_a_client_at_its_endpoint() {
    let servers = ["a", "b", "c", "d"].map(Server::start);
    let all: Vec<&Server> = servers.iter().collect();
    let palisade = proxy(&all, "upstreams.app.balance = \"ip_hash\"");
    let mut seen = std::collections::BTreeSet::new();
    for client in 1..=12u8 {
        let source = std::net::Ipv4Addr::new(127, 0, 1, client);
        let mut names = Vec::new();
        for _ in 0..3 {
            let mut client = Client::connect_from(source.into(), palisade.address("http"));
            names.extend(served(&mut client, 2));
        }
        assert_eq!(count(&names).len(), 1, "{names:?}");
        seen.extend(names);
    }
    assert!(seen.len() > 1, "{seen:?}");
}

#[test]
fn a_sticky_client_keeps_its_endpoint_until_that_is_gone() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let checks = "upstreams.app.health = { path = \"/health\", interval = \"100ms\", fall = 1 }";
    let sticky = "upstreams.app.sticky = { cookie = \"stay\", secret = \"a secret of 16 bytes or more\" }";
    let palisade = proxy(&[&a, &b], &format!("{sticky}\n{checks}"));
    let mut client = client_of(&palisade);
    let first = client.get("/");
    let cookie = first.header("Set-Cookie").expect("a cookie");
    assert!(cookie.starts_with("stay=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    let value = cookie.split(';').next().expect("a value").to_owned();
    let name = first.header("Served-By").expect("a name").to_owned();
    for _ in 0..5 {
        let again = client.request("GET", "/", &[("Cookie", &format!("x=y; {value}"))], b"");
        assert_eq!(again.header("Served-By"), Some(name.as_str()));
        assert_eq!(again.header("Set-Cookie"), None, "it has one already");
    }
    // A forged one is as good as none.
    let forged = value.replace("stay=", "stay=A");
    let names: Vec<String> = (0..4)
        .map(|_| client.request("GET", "/", &[("Cookie", &forged)], b""))
        .map(|response| {
            assert!(response.header("Set-Cookie").is_some());
            response.header("Served-By").unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(count(&names).len(), 2);
    // Its endpoint dies: it falls over, and sticks to the other.
    let (gone, other) = if name == "a" { (&a, "b") } else { (&b, "a") };
    gone.is_healthy(false);
    wait_up(&palisade, gone, false);
    let moved = client.request("GET", "/", &[("Cookie", &value)], b"");
    assert_eq!(moved.header("Served-By"), Some(other));
    assert!(moved.header("Set-Cookie").is_some_and(|cookie| !cookie.starts_with(&value)));
}

/// Draining is for maintenance without throwing anybody out.
#[test]
fn a_draining_endpoint_keeps_the_clients_that_stick_to_it() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(&[&a, &b], "upstreams.app.sticky = \"stay\"");
    let mut client = client_of(&palisade);
    let first = loop {
        let response = client.get("/");
        if response.header("Served-By") == Some("a") {
            break response;
        }
    };
    let value =
        first.header("Set-Cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie").to_owned();
    let order = |word: &str| {
        let done = Command::new(env!("CARGO_BIN_EXE_palisade"))
            .args(["endpoint", word, "app", &a.address(), "--socket"])
            .arg(palisade.dir().join("admin.sock"))
            .output()
            .expect("the command runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    order("drain");
    assert_eq!(served(&mut client, 4), ["b"; 4]);
    let mine = client.request("GET", "/", &[("Cookie", &value)], b"");
    assert_eq!(mine.header("Served-By"), Some("a"));
    order("disable");
    let moved = client.request("GET", "/", &[("Cookie", &value)], b"");
    assert_eq!(moved.header("Served-By"), Some("b"));
}

#[test]
fn backups_and_priorities_wait_for_their_turn() {
    let [a, b, c] = [Server::start("a"), Server::start("b"), Server::start("c")];
    let checks = "upstreams.app.health = { path = \"/health\", interval = \"100ms\", fall = 1, rise = 1 }";
    let palisade = weighted(&[(&a, ""), (&b, ", priority = 1"), (&c, ", backup = true")], checks);
    let mut client = client_of(&palisade);
    assert_eq!(served(&mut client, 4), ["a"; 4]);
    a.is_healthy(false);
    wait_up(&palisade, &b, true);
    wait_up(&palisade, &a, false);
    assert_eq!(served(&mut client, 4), ["b"; 4]);
    b.is_healthy(false);
    wait_up(&palisade, &c, true);
    wait_up(&palisade, &b, false);
    assert_eq!(served(&mut client, 4), ["c"; 4]);
    a.is_healthy(true);
    wait_up(&palisade, &a, true);
    wait_up(&palisade, &c, false);
    assert_eq!(served(&mut client, 4), ["a"; 4]);
}

//! The operator's word on single endpoints of a running proxy.

use std::process::Command;

use testkit::{Client, Palisade, poll_until};

use crate::stage::{SOON, Server, client_of, metrics_of, proxy, served, status_line};

fn order(palisade: &Palisade, words: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_palisade"))
        .arg("endpoint")
        .args(words)
        .arg("--socket")
        .arg(palisade.dir().join("admin.sock"))
        .output()
        .expect("the command runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn an_endpoint_is_drained_disabled_and_enabled() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(&[&a, &b], "");
    let mut client = client_of(&palisade);
    for (word, state) in [("drain", "draining"), ("disable", "disabled")] {
        let (done, said) = order(&palisade, &[word, "app", &a.address()]);
        assert!(done && said.contains("until the next reload"), "{said}");
        assert_eq!(served(&mut client, 4), ["b"; 4]);
        assert!(status_line(&palisade, &a).contains(state), "{}", status_line(&palisade, &a));
        let (done, said) = order(&palisade, &["enable", "app", &a.address()]);
        assert!(done, "{said}");
        assert_eq!(served(&mut client, 4).iter().filter(|name| *name == "a").count(), 2);
    }
    // Nobody is left.
    for server in [&a, &b] {
        order(&palisade, &["disable", "app", &server.address()]);
    }
    assert_eq!(served(&mut client, 1), ["503"]);
}

#[test]
fn a_weight_is_set_until_the_next_reload() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(&[&a, &b], "");
    let mut client = client_of(&palisade);
    let share = |client: &mut Client| served(client, 12).iter().filter(|name| *name == "a").count();
    assert_eq!(share(&mut client), 6);
    assert!(order(&palisade, &["weight", "app", &a.address(), "5"]).0);
    assert_eq!(share(&mut client), 10);
    order(&palisade, &["drain", "app", &b.address()]);
    palisade.signal(1);
    poll_until(SOON, "the reload", || metrics_of(&palisade).sum("reloads_total", &[]) == 1.0);
    assert_eq!(share(&mut client), 6);
}

#[test]
fn wrong_orders_are_answered_with_what_there_is() {
    let a = Server::start("a");
    let palisade = proxy(&[&a], "");
    let (done, said) = order(&palisade, &["drain", "nobody", &a.address()]);
    assert!(!done && said.contains("there is no upstream \"nobody\"; there are app"), "{said}");
    let (done, said) = order(&palisade, &["drain", "app", "1.2.3.4:5"]);
    assert!(!done && said.contains(&a.address()), "{said}");
    let (done, said) = order(&palisade, &["weight", "app", &a.address(), "0"]);
    assert!(!done && said.contains("1..=65535"), "{said}");
}

/// Whoever can reach the admin address may look, but not change anything.
#[test]
fn the_admin_address_takes_no_orders() {
    let a = Server::start("a");
    let palisade = proxy(&[&a], "");
    let target = format!("/endpoints?upstream=app&endpoint={}&order=disable", a.address());
    let mut admin = Client::connect(palisade.address("admin"));
    assert_eq!(admin.request("POST", &target, &[], b"").status, 404);
    assert_eq!(served(&mut client_of(&palisade), 1), ["a"]);
    let list = admin.get("/upstreams");
    let list: Vec<&str> = list.text().lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(list.len(), 1);
    assert!(list[0].contains(&format!("\"endpoint\":\"{}\",\"state\":\"up\"", a.address())), "{list:?}");
    assert!(list[0].contains("\"weight\":1,\"open\":1,\"idle\":1,\"waiting\":0,\"connect\":1,"), "{list:?}");
}

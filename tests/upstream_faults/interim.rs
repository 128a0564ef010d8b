//! Interim answers.

use std::time::Duration;

use testkit::{Script, canary, canary_on};

use crate::stage::{ONE_WORKER, canaries_and, expect_reason, proxy_for};
use crate::surplus::SECOND_ANSWER;

#[test]
fn early_hints_are_passed_on_and_stay_apart_from_the_answer() {
    let origin = canaries_and(|_| {
        Script::new()
            .send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n")
            .send("HTTP/1.1 102 Processing\r\n\r\n")
            .send("HTTP/1.1 100 Continue\r\n\r\n")
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = palisade.client();
    let response = client.get("/hints");
    assert_eq!((response.status, response.text(), response.header("Link")), (200, "ok", None));
    let statuses: Vec<_> = response.interim.iter().map(|interim| interim.status).collect();
    assert_eq!(statuses, [103, 102], "the 100 is not for a client that did not ask");
    assert_eq!(response.interim[0].header("Link"), Some("</style.css>; rel=preload"));
    canary_on(&mut client, &origin);
    assert_eq!(origin.connections().len(), 1);
}

/// The fields that an interim answer's `Connection` nominates are for one hop like any others.
#[test]
fn hop_by_hop_fields_of_interim_answers_stay_behind() {
    let origin = canaries_and(|_| {
        Script::new()
            .send("HTTP/1.1 103 Early Hints\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nLink: <a>\r\n\r\n")
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let palisade = proxy_for(&origin, ONE_WORKER);
    let response = palisade.client().get("/hints");
    let hints = &response.interim[0];
    for name in ["Connection", "Keep-Alive", "X-Hop"] {
        assert_eq!(hints.header(name), None, "{name}");
    }
    assert_eq!(hints.header("Link"), Some("<a>"));
}

#[test]
fn an_old_client_gets_no_interim_answer() {
    let origin = canaries_and(|_| {
        Script::new()
            .send("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n")
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = palisade.client();
    client.send("GET /hints HTTP/1.0\r\nHost: a\r\n\r\n");
    let response = client.read_response();
    assert_eq!((response.status, response.text(), response.interim.len()), (200, "ok", 0));
    canary(palisade.address("http"), &origin);
}

#[test]
fn interim_answers_before_the_answer_to_head_do_no_harm() {
    let origin = canaries_and(|_| {
        Script::new()
            .send("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nLink: <a>\r\n\r\n")
            .send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    });
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = palisade.client();
    let response = client.request("HEAD", "/head", &[], b"");
    assert_eq!((response.status, response.interim.len()), (200, 1));
    assert_eq!(response.interim[0].header("Content-Length"), None);
    canary_on(&mut client, &origin);
}

#[test]
fn a_flood_of_interim_answers_is_a_502() {
    for (count, status) in [(16, 200), (17, 502), (10_000, 502)] {
        let origin = canaries_and(move |_| {
            Script::new()
                .send("HTTP/1.1 102 Processing\r\n\r\n".repeat(count))
                .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        });
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = palisade.client();
        let response = client.get("/flood");
        assert_eq!(response.status, status, "{count}");
        assert!(response.interim.len() <= 16, "{}", response.interim.len());
        if status == 502 {
            expect_reason(&palisade, "/flood", "upstream_too_many_interim");
        }
        canary_on(&mut client, &origin);
    }
}

/// Behind the final head there is no interim answer: it is what comes too much on the connection.
#[test]
fn a_100_behind_the_final_head_is_no_part_of_the_answer() {
    let late = "HTTP/1.1 100 Continue\r\n\r\n";
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let origin = canaries_and(move |_| Script::new().send(format!("{head}{late}")));
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = palisade.client();
        let response = client.request("POST", "/late", &[], b"x");
        assert!(matches!(response.status, 200 | 204), "{head}");
        assert_eq!(response.interim.len(), 0, "{head}");
        // Nor of the next one.
        canary_on(&mut client, &origin);
        assert_eq!(
            origin.connections().len(),
            2,
            "{head}: a connection that said too much is not used again"
        );
    }
}

#[test]
fn switching_protocols_unasked_is_a_502() {
    for (request, answer) in [
        ("GET /switch HTTP/1.1\r\nHost: a\r\n\r\n", "Upgrade: websocket"),
        (
            "GET /switch HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            "Upgrade: other",
        ),
        ("GET /switch HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "X: no"),
    ] {
        let origin = canaries_and(move |_| {
            Script::new()
                .send(format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{answer}\r\n\r\n"))
                .send(SECOND_ANSWER)
        });
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = palisade.client();
        client.send(request);
        assert_eq!(client.read_response().status, 502, "{request:?} {answer}");
        expect_reason(&palisade, "/switch", "upstream_bad_upgrade");
        canary(palisade.address("http"), &origin);
    }
}

#[test]
fn interim_answers_do_not_stop_the_clock() {
    let origin = canaries_and(|_| {
        let mut script = Script::new();
        for _ in 0..10 {
            script = script.send("HTTP/1.1 102 Processing\r\n\r\n").pause(Duration::from_millis(150));
        }
        script.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let palisade = proxy_for(&origin, &format!("{ONE_WORKER}\ndefaults.timeouts.read = \"500ms\""));
    let mut client = palisade.client();
    assert_eq!(client.get("/processing").status, 504);
    expect_reason(&palisade, "/processing", "upstream_read_timeout");
    canary_on(&mut client, &origin);
}

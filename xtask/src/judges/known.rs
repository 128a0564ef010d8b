//! What a judge complains of and we leave as it is, each with its reason.

use super::Judge;

/// Why this case does not count; `None` when it does.
pub fn reason(judge: Judge, case: &str, why: &str) -> Option<&'static str> {
    // What is broken ends the connection, as it should; only the code in the last frame is another.
    if judge == Judge::Conformance && why == "GOAWAY with code 1" {
        return Some("the engine says PROTOCOL_ERROR where a more exact code would do");
    }
    let known = |(of, name, _): &&(Judge, &str, &str)| *of == judge && *name == case;
    KNOWN.iter().find(known).map(|(_, _, reason)| *reason)
}

const KNOWN: &[(Judge, &str, &str)] = &[
    (
        Judge::Testssl,
        "cipher_order",
        "every suite is a good one, so the client, who knows what is fast on its machine, has the choice",
    ),
    (Judge::Testssl, "cert_chain_of_trust", "the certificate is of a test's own authority"),
    (Judge::Testssl, "cert_expirationStatus", "it lives for thirty days"),
    (Judge::Testssl, "cert_notAfter", "it lives for thirty days"),
    (Judge::Testssl, "cert_revocation", "a test's own authority publishes nothing"),
    (Judge::Testssl, "DNS_CAArecord", "there is no name server"),
    (Judge::Testssl, "HSTS", "the origin decides whether to say it"),
    (Judge::Testssl, "security_headers", "the origin decides whether to say them"),
    (Judge::Testssl, "engine_problem", "about the machine that asks"),
    (Judge::Websocket, "7.1.5", "the echo server answers so without a proxy too"),
    (Judge::Websocket, "9.3.1", "more fragments than the echo server takes, without a proxy too"),
    (Judge::Websocket, "9.3.2", "more fragments than the echo server takes, without a proxy too"),
    (Judge::Websocket, "9.4.1", "more fragments than the echo server takes, without a proxy too"),
    (Judge::Websocket, "9.4.2", "more fragments than the echo server takes, without a proxy too"),
];

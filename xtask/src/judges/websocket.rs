//! The Autobahn suite of WebSocket, run by kosoku, before an echo server behind the proxy.

use anyhow::Result;

use super::Report;
use super::court::{Court, Server, listen};
use super::python::script;

pub fn judge(court: &Court) -> Result<Report> {
    let ask = |address: &str| listen(script(&court.target, SCRIPT, &["ask", address])?);
    if let Some(other) = &court.against {
        return ask(other);
    }
    let server = Server::start(court, SCRIPT)?;
    let palisade = court.start(&format!(
        r#"
        listeners.http.address = "127.0.0.1:0"
        upstreams.echo.endpoints = ["127.0.0.1:{}"]
        routes.all.upstream = "echo"
        log.access = "{{dir}}/access.log"
        "#,
        server.port
    ))?;
    ask(&palisade.address("http").to_string())
}

const SCRIPT: &str = "ask_websocket.py";

//! `[server]`, `[admin]` and `[log]`.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::address;
use super::diagnostic::Diagnostic;
use super::fields::{Fields, Text, Zero};
use super::filters;
use super::{AdminOptions, ServerOptions};
use crate::connection::{ClientLimits, HalfClose};
use crate::filter::CompressionLimits;
use crate::observe::{AccessLogFormat, AccessLogOptions, LogDestination};

const DEFAULT_DRAIN: Duration = Duration::from_secs(30);
const MAX_WORKERS: usize = 1024;

pub fn default_server() -> ServerOptions {
    ServerOptions {
        workers: std::thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS),
        trusted_proxies: Vec::new(),
        clients: ClientLimits::default(),
        compression: CompressionLimits::default(),
        drain_timeout: DEFAULT_DRAIN,
    }
}

pub fn lower_server(fields: &Fields<'_>) -> ServerOptions {
    let default = default_server();
    ServerOptions {
        workers: fields.integer("workers").unwrap_or(default.workers),
        trusted_proxies: trusted_proxies(fields),
        clients: client_limits(fields),
        compression: filters::compression_limits(fields),
        drain_timeout: fields.duration("drain_timeout", Zero::Allowed).unwrap_or(default.drain_timeout),
    }
}

fn client_limits(fields: &Fields<'_>) -> ClientLimits {
    let default = ClientLimits::default();
    let patience = |name: &str, default| fields.duration(name, Zero::Refused).unwrap_or(default);
    ClientLimits {
        max_connections: fields.integer("max_connections").unwrap_or(default.max_connections),
        max_connections_per_client: fields
            .integer("max_connections_per_client")
            .unwrap_or(default.max_connections_per_client),
        head_timeout: patience("head_timeout", default.head_timeout),
        idle_timeout: patience("idle_timeout", default.idle_timeout),
        min_rate: fields.rate("min_rate").unwrap_or(default.min_rate),
        rate_grace: fields.duration("rate_grace", Zero::Allowed).unwrap_or(default.rate_grace),
        send_timeout: patience("send_timeout", default.send_timeout),
        tunnel_idle_timeout: patience("tunnel_idle_timeout", default.tunnel_idle_timeout),
        half_close: match fields.text("client_half_close") {
            Some(Text { value: "cancel", .. }) => HalfClose::Cancel,
            _ => HalfClose::Serve,
        },
        body_memory: fields.size("body_memory").unwrap_or(default.body_memory),
        body_disk: fields.size("body_disk").unwrap_or(default.body_disk),
        body_folder: path(fields, "body_folder").unwrap_or(default.body_folder),
    }
}

fn trusted_proxies(fields: &Fields<'_>) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for text in fields.texts("trusted_proxies") {
        let Some(network) = fields.parsed(text, address::network) else { continue };
        if network.prefix_len() == 0 {
            let message = format!("`{}` trusts everybody", text.value);
            let hint =
                "any client can then choose the address it seems to come from; list only your own proxies";
            fields.problems.add(Diagnostic::warning(text.place, message).hint(hint));
        }
        networks.push(network);
    }
    networks
}

pub fn lower_admin(fields: &Fields<'_>) -> AdminOptions {
    let address = fields.text("address").and_then(|text| {
        if text.value.starts_with("unix:") {
            let hint = "for a Unix socket there is `socket = \"/run/palisade/admin.sock\"`";
            fields
                .problems
                .add(Diagnostic::error(text.place, "`address` of `[admin]` is for TCP").hint(hint));
            return None;
        }
        let address = fields.parsed(text, address::socket)?;
        if !address.ip().is_loopback() {
            let message = format!("`{}` can be reached from other machines", text.value);
            let hint = format!(
                "whoever reaches it sees the metrics; for this machine only write \"127.0.0.1:{}\"",
                address.port()
            );
            fields.problems.add(Diagnostic::warning(text.place, message).hint(hint));
        }
        Some(address)
    });
    AdminOptions { address, socket: socket(fields) }
}

fn socket(fields: &Fields<'_>) -> Option<PathBuf> {
    let text = fields.text("socket")?;
    if let Some(path) = text.value.strip_prefix("unix:") {
        let message = format!("`{}` is not a file name", text.value);
        fields.problems.add(Diagnostic::error(text.place, message).hint(format!("write \"{path}\"")));
        return None;
    }
    path(fields, "socket")
}

pub fn lower_log(fields: &Fields<'_>) -> AccessLogOptions {
    let access = fields.text("access").and_then(|text| match text.value {
        "stdout" => Some(LogDestination::Stdout),
        "stderr" => Some(LogDestination::Stderr),
        _ => path(fields, "access").map(LogDestination::File),
    });
    let format = match fields.text("format") {
        Some(Text { value: "combined", .. }) => AccessLogFormat::Combined,
        _ => AccessLogFormat::Json,
    };
    if let Some(place) = fields.key("format").filter(|_| fields.key("access").is_none()) {
        let message = "`format` without `access`: there is no access log";
        fields.problems.add(Diagnostic::warning(place, message).hint("add `access = \"stdout\"`"));
    }
    AccessLogOptions { access, format }
}

fn path(fields: &Fields<'_>, name: &str) -> Option<PathBuf> {
    let text = fields.text(name)?;
    if text.value.is_empty() || text.value.contains('\0') {
        let message = format!("`{name}` is not a file name");
        fields.problems.add(Diagnostic::error(text.place, message));
        return None;
    }
    Some(PathBuf::from(text.value))
}

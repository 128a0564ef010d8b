//! `tls` of an upstream: files are loaded, so that nothing about them can be wrong later.

use std::cell::OnceCell;
use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::certificates::{file, report};
use super::diagnostic::{Diagnostic, Place};
use super::fields::{Fields, Text};
use super::host;
use super::values::{Parsed, shown, wrong};
use crate::certificates::{CertificateOptions, Pair, Roots, provider};
use crate::upstream::Protocol;
use crate::upstream::tls::{Fingerprint, Tls, TlsParts, Trust};

/// The authorities of the system, loaded when the first upstream wants them.
#[derive(Default)]
pub struct SystemRoots(OnceCell<Result<Roots, String>>);

/// `None` when the servers speak none, or something is wrong.
pub fn lower(name: &str, fields: &Fields<'_>, protocol: Protocol, system: &SystemRoots) -> Option<Arc<Tls>> {
    let table = fields.table("tls");
    if table.is_none() && fields.boolean("tls") != Some(true) {
        return None;
    }
    let place = fields.key("tls")?;
    let mut parts = TlsParts {
        provider: provider(),
        trust: Trust::Anybody,
        certificate: None,
        name: None,
        only_1_3: false,
        protocol,
    };
    if let Some(table) = &table {
        parts.name = table.text("name").and_then(|text| table.parsed(text, server_name));
        parts.only_1_3 = matches!(table.text("min_version"), Some(Text { value: "1.3", .. }));
        parts.certificate = certificate(name, table);
    }
    parts.trust = trust(table.as_ref(), fields, place, system)?;
    Tls::new(parts)
        .map_err(|why| fields.problems.add(Diagnostic::error(place, format!("`tls` cannot be used: {why}"))))
        .ok()
        .map(Arc::new)
}

fn trust(
    table: Option<&Fields<'_>>,
    fields: &Fields<'_>,
    place: &Place,
    system: &SystemRoots,
) -> Option<Trust> {
    if let Some(table) = table
        && table.boolean("verify") == Some(false)
    {
        if let Some(ca) = table.key("ca") {
            let message = "`ca` does nothing with `verify = false`";
            fields.problems.add(Diagnostic::error(ca, message).hint("leave one of them out"));
        }
        let message = "certificates of the servers are not verified";
        let hint = "whoever is on the way can read and change everything; name their authority: \
                    `ca = \"internal-ca.pem\"`";
        let verify = table.key("verify").unwrap_or(place);
        fields.problems.add(Diagnostic::warning(verify, message).hint(hint));
        return Some(Trust::Anybody);
    }
    if let Some(table) = table
        && table.key("ca").is_some()
    {
        let loaded = Roots::load(&file(table, "ca")?);
        let roots = loaded.map_err(|flaw| report(table, flaw)).ok()?;
        return Some(Trust::Roots(roots.store, roots.content));
    }
    match system.0.get_or_init(Roots::of_system) {
        Ok(roots) => Some(Trust::Roots(roots.store.clone(), roots.content)),
        Err(why) => {
            let message = format!("certificates of the servers cannot be verified: {why}");
            let hint = "install the package `ca-certificates`, or name the authority of the servers: \
                        `tls = { ca = \"internal-ca.pem\" }`";
            fields.problems.add(Diagnostic::error(place, message).hint(hint));
            None
        }
    }
}

fn certificate(name: &str, table: &Fields<'_>) -> Option<(Arc<rustls::sign::CertifiedKey>, Fingerprint)> {
    for (has, needs, example) in [("certificate", "key", "client.key"), ("key", "certificate", "client.pem")]
    {
        if let (Some(place), None) = (table.key(has), table.key(needs)) {
            let message = format!("`{has}` needs `{needs}`");
            table
                .problems
                .add(Diagnostic::error(place, message).hint(format!("add {needs} = \"{example}\"")));
        }
    }
    let (certificate, key) = (file(table, "certificate")?, file(table, "key")?);
    let options = CertificateOptions { name: name.to_owned(), certificate, key, ocsp: None, default: false };
    let pair = Pair::load(&options).map_err(|flaw| report(table, flaw)).ok()?;
    Some((pair.certified().clone(), *pair.content()))
}

/// A name as it stands in a certificate, or an address.
fn server_name(text: &str) -> Parsed<ServerName<'static>> {
    let not = || format!("{} is not a name that a certificate can have", shown(text));
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        return Ok(ServerName::IpAddress(address.into()));
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && port.parse::<u16>().is_ok()
    {
        return Err(wrong(not(), format!("write it without the port: \"{host}\"")));
    }
    let name = host::name(text).map_err(|why| wrong(not(), why))?;
    ServerName::try_from(name).map_err(|_| wrong(not(), "write a host name: \"app.internal\""))
}

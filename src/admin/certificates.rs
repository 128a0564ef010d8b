//! Certificates, for people and for the metrics page.

use std::fmt::Write;

use crate::certificates::{CertificateStanding, Store};
use crate::observe::metrics::CertificateFacts;

/// Names that a line has room for.
const SHOWN_NAMES: usize = 3;
const DAY: i64 = 86_400;

/// A line for each certificate, and what is wrong with files; empty without TLS.
pub fn table(store: &Store) -> String {
    let mut table = String::new();
    let standing = store.standing();
    if !standing.is_empty() {
        table.push_str(&format!(
            "\n{:<20} {:<40} {:<28} {:>6}  {}\n",
            "CERTIFICATE", "NAMES", "ISSUER", "DAYS", "WHY"
        ));
    }
    for certificate in &standing {
        let line = format!(
            "{:<20} {:<40} {:<28} {:>6}  {}",
            certificate.name,
            names(certificate),
            certificate.issuer,
            certificate.seconds_left.div_euclid(DAY),
            certificate.trouble.as_deref().unwrap_or_default()
        );
        table.push_str(line.trim_end());
        table.push('\n');
    }
    for trouble in store.troubles() {
        let _ = write!(table, "\n{trouble}: what was loaded before is used\n");
    }
    table
}

fn names(certificate: &CertificateStanding) -> String {
    let shown = certificate.names.iter().take(SHOWN_NAMES).map(String::as_str).collect::<Vec<_>>().join(",");
    match certificate.names.len().saturating_sub(SHOWN_NAMES) {
        0 if shown.is_empty() => "(none)".to_owned(),
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// For the metrics page.
pub fn facts(store: &Store) -> Vec<CertificateFacts> {
    let facts = |certificate: CertificateStanding| CertificateFacts {
        certificate: certificate.name,
        seconds_left: certificate.seconds_left,
        failing: certificate.trouble.is_some(),
    };
    store.standing().into_iter().map(facts).collect()
}

//! `[certificates.NAME]`: every file is loaded, so that nothing about it can be wrong later.

use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Place};
use super::fields::Fields;
use crate::certificates::{CertificateOptions, Culprit, Flaw, Material, Pair};

pub fn lower(name: &str, fields: &Fields<'_>, material: &mut Material) {
    for (key, example) in [("certificate", "fullchain.pem"), ("key", "privkey.pem")] {
        if fields.key(key).is_none() {
            fields.missing(&[key], &format!("`{key}`"), &format!("add `{key} = \"{example}\"`"));
        }
    }
    let default = fields.boolean("default").unwrap_or(false);
    let ocsp = file(fields, "ocsp");
    let (certificate, key) = (file(fields, "certificate"), file(fields, "key"));
    let (Some(certificate), Some(key)) = (certificate, key) else { return };
    let options = CertificateOptions { name: name.to_string(), certificate, key, ocsp, default };
    match material.add_certificate(options) {
        Ok(pair) => doubts(fields, &pair),
        Err(flaw) => report(fields, flaw),
    }
}

/// What is used all the same.
fn doubts(fields: &Fields<'_>, pair: &Pair) {
    let Some(text) = fields.text("certificate") else { return };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let warn = |what: &str, hint: &str| {
        let message = format!("the certificate in `{}` {what}", text.value);
        fields.problems.add(Diagnostic::warning(text.place, message).hint(hint));
    };
    if now > pair.not_after {
        warn("has expired", "clients will refuse it; it is used only where there is no other");
    } else if now < pair.not_before {
        warn("is not valid yet", "is the clock of this machine right?");
    }
    if pair.names.is_empty() && !pair.default {
        warn(
            "has no names",
            "no client asks for it; with `default = true` it is shown to those without a name",
        );
    }
}

/// A file, relative to the one that names it.
pub fn file(fields: &Fields<'_>, name: &str) -> Option<PathBuf> {
    let text = fields.text(name)?;
    if text.value.is_empty() || text.value.contains('\0') {
        fields.problems.add(Diagnostic::error(text.place, format!("`{name}` is not a file name")));
        return None;
    }
    let here = Path::new(&text.place.source.name).parent().unwrap_or(Path::new(""));
    Some(here.join(text.value))
}

/// At the key that names the file.
pub fn report(fields: &Fields<'_>, flaw: Flaw) {
    let place = place(fields, flaw.culprit).unwrap_or(fields.place);
    fields.problems.add(Diagnostic::error(place, flaw.message).maybe_hint(flaw.hint));
}

fn place<'a>(fields: &Fields<'a>, culprit: Culprit) -> Option<&'a Place> {
    fields.text(culprit.key()).map(|text| text.place)
}

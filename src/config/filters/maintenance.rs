//! `maintenance`.

use std::time::Duration;

use super::{Switched, switched};
use crate::config::address;
use crate::config::fields::{Fields, Zero};
use crate::config::targets;
use crate::filter::{Maintenance, MaintenancePage};
use crate::message::SharedText;

const DEFAULT_RETRY: Duration = Duration::from_secs(300);

pub fn lower(fields: &Fields<'_>) -> Option<Switched<Maintenance>> {
    switched(fields, "maintenance", |table| {
        let Some(table) = table else {
            return Some(Maintenance { allow: Vec::new(), retry_after: DEFAULT_RETRY, page: None });
        };
        let networks = table.texts("allow").into_iter();
        let body = table.text("body");
        Some(Maintenance {
            allow: networks.filter_map(|text| table.parsed(text, address::network)).collect(),
            retry_after: table.duration("retry_after", Zero::Allowed).unwrap_or(DEFAULT_RETRY),
            page: body.and_then(|body| {
                let content_type = targets::content_type(table)?;
                Some(MaintenancePage { body: SharedText::new(body.value), content_type })
            }),
        })
    })
}

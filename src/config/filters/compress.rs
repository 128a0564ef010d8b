//! `compress` and `decompress` of a route, and what `[server]` says of them.

use super::headers::media_ranges;
use crate::config::diagnostic::Diagnostic;
use crate::config::fields::{Fields, Text};
use crate::config::values::shown;
use crate::filter::{Coding, CompressOptions, CompressionLimits, Levels, Types};

/// As written in one place; what is absent comes from `[defaults]`, then from us.
#[derive(Default, Clone)]
pub struct Written {
    on: Option<bool>,
    encodings: Option<Vec<Coding>>,
    types: Option<Types>,
    min_size: Option<u64>,
    zstd: Option<u32>,
    brotli: Option<u32>,
    gzip: Option<u32>,
    at_origin: Option<bool>,
}

/// `compress = true`, or a table of what is not as usual.
pub fn lower(fields: &Fields<'_>) -> Written {
    let Some(table) = fields.table("compress") else {
        return Written { on: fields.boolean("compress"), ..Written::default() };
    };
    let levels = table.table("levels");
    let level = |name: &str| levels.as_ref().and_then(|levels| levels.integer(name));
    Written {
        on: Some(true),
        encodings: encodings(&table),
        types: types(&table),
        min_size: table.size("min_size"),
        zstd: level("zstd"),
        brotli: level("br"),
        gzip: level("gzip"),
        at_origin: table.boolean("at_origin"),
    }
}

impl Written {
    /// These win over `defaults`, key by key; `None` when nothing is compressed.
    pub fn complete(self, defaults: &Written) -> Option<CompressOptions> {
        if !self.on.or(defaults.on)? {
            return None;
        }
        let usual = CompressOptions::default();
        Some(CompressOptions {
            encodings: self.encodings.or_else(|| defaults.encodings.clone()).unwrap_or(usual.encodings),
            types: self.types.or_else(|| defaults.types.clone()).unwrap_or(usual.types),
            min_size: self.min_size.or(defaults.min_size).unwrap_or(usual.min_size),
            levels: Levels {
                zstd: self.zstd.or(defaults.zstd).unwrap_or(usual.levels.zstd),
                brotli: self.brotli.or(defaults.brotli).unwrap_or(usual.levels.brotli),
                gzip: self.gzip.or(defaults.gzip).unwrap_or(usual.levels.gzip),
            },
            at_origin: self.at_origin.or(defaults.at_origin).unwrap_or(usual.at_origin),
        })
    }
}

fn encodings(table: &Fields<'_>) -> Option<Vec<Coding>> {
    let entry = table.entry("encodings")?;
    let mut encodings = Vec::new();
    for Text { value, place } in table.texts("encodings") {
        // The check of shapes reported a name that is none.
        let Some(coding) = Coding::named(value.as_bytes()) else { continue };
        if encodings.contains(&coding) {
            let message = format!("{} is there twice", shown(value));
            table.problems.add(Diagnostic::error(place, message).hint("the first one is the preferred one"));
        }
        encodings.push(coding);
    }
    if table.nodes("encodings").is_empty() {
        let message = "`encodings` is empty";
        table
            .problems
            .add(Diagnostic::error(&entry.node.place, message).hint("to turn it off write compress = false"));
    }
    Some(encodings)
}

fn types(table: &Fields<'_>) -> Option<Types> {
    let entry = table.entry("types")?;
    if table.nodes("types").is_empty() {
        let message = "`types` is empty";
        table
            .problems
            .add(Diagnostic::error(&entry.node.place, message).hint("to turn it off write compress = false"));
    }
    Some(Types(media_ranges(table, "types")))
}

/// `compression_guard` and `compression_memory` of `[server]`.
pub fn lower_limits(fields: &Fields<'_>) -> CompressionLimits {
    let usual = CompressionLimits::default();
    let memory = fields.size("compression_memory");
    if let (Some(place), Some(..LEAST_MEMORY)) = (fields.key("compression_memory"), memory) {
        let message = "`compression_memory` is less than one stream may need";
        let hint = "one of zstd counts as 3 MiB, one of Brotli as 5 MiB, more at higher levels; answers that find no \
                    room are sent as they are";
        fields.problems.add(Diagnostic::warning(place, message).hint(hint));
    }
    CompressionLimits {
        guard: fields.boolean("compression_guard").unwrap_or(usual.guard),
        memory: memory.unwrap_or(usual.memory),
    }
}

const LEAST_MEMORY: u64 = 8 << 20;

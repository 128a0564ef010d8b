//! Text in answers that is replaced on its way, without waiting for the whole: literal texts in one pass, wherever the
//! pieces of a body are cut, and then regexes, line by line.

mod body;
mod lines;
mod literals;

use std::sync::Arc;

use http1::Name;

use self::body::Replacing;
use self::lines::Lines;
pub use self::lines::{LONGEST_LINE, LineRule};
pub use self::literals::Literals;
use self::literals::Search;
use super::coding::representation::{Coded, Known, ask_for_all, changed, content_coding, is_part};
use super::coding::whole;
use super::remade::Remade;
use crate::message::{Body, Escape, Exchange, MediaRange, Request, Response, Template, Values};

/// `replace` of a route.
#[derive(Debug, Clone)]
pub struct Replace(pub Arc<Rules>);

/// What is replaced by what. The rules of each kind are in the order of the configuration.
#[derive(Debug)]
pub struct Rules {
    pub literals: Arc<Literals>,
    /// One for each literal.
    pub to: Vec<Template>,
    pub regexes: Arc<[LineRule]>,
    /// Answers of these types.
    pub types: Vec<MediaRange>,
    /// Each rule holds for the first place only.
    pub once: bool,
}

/// What changes the bytes of one answer.
struct Editor {
    search: Option<Search>,
    lines: Option<Lines>,
    between: Vec<u8>,
}

impl Replace {
    /// Asks the origin for what can be changed: all of it, and not coded.
    pub fn ask(&self, request: &mut Request<'_>) {
        ask_for_all(&mut request.head.fields);
    }

    /// Changes an answer of the target. Pages of the proxy stay as they are.
    pub fn answer(&self, exchange: Exchange<'_>, request: &Request<'_>, response: &mut Response<'_>) {
        if response.head.status == 304 {
            // It need not tell its type; its validator is that of the answer that it stands for.
            Known::of(&request.head.fields).name_again(&mut response.head.fields);
            return;
        }
        let fields = &response.head.fields;
        let content_type = fields.get(Name::ContentType);
        let is_meant = content_type.is_some_and(|given| self.0.types.iter().any(|range| range.covers(given)));
        if !is_meant
            || response.is_page
            || content_coding(fields) != Coded::Plain
            || is_part(response.head.status, fields)
        {
            return;
        }
        let escape = Escape::of(&String::from_utf8_lossy(content_type.unwrap_or_default()));
        let values = Values::of_answer(exchange, request, response);
        let editor = self.0.editor(&values, escape);
        response.body = match whole::stream(std::mem::take(&mut response.body)) {
            Ok(stream) => Body::Stream(Box::new(Remade::new(Replacing { stream, editor }))),
            Err(body) => body,
        };
        response.announced = None;
        changed(&mut response.head.fields);
    }
}

impl Rules {
    fn editor(&self, values: &Values<'_, '_>, escape: Escape) -> Editor {
        let filled = |template: &Template| {
            let mut text = Vec::new();
            template.write_escaped(values, &mut text, |_, value, out| escape.write(value, out));
            text
        };
        let search = (!self.to.is_empty())
            .then(|| Search::new(self.literals.clone(), self.to.iter().map(filled).collect(), self.once));
        let lines = (!self.regexes.is_empty()).then(|| Lines::new(self.regexes.clone(), self.once));
        Editor { search, lines, between: Vec::new() }
    }
}

impl Editor {
    /// Appends to `out` what is sure of the bytes so far; `last` when none follow.
    fn push(&mut self, data: &[u8], last: bool, out: &mut Vec<u8>) {
        match (&mut self.search, &mut self.lines) {
            (Some(search), None) => search.push(data, last, out),
            (None, Some(lines)) => lines.push(data, last, out),
            (Some(search), Some(lines)) => {
                self.between.clear();
                search.push(data, last, &mut self.between);
                lines.push(&self.between, last, out);
            }
            (None, None) => out.extend_from_slice(data),
        }
    }

    /// How much larger a piece may become.
    fn growth(&self) -> usize {
        self.search.as_ref().map_or(1, Search::growth)
    }
}

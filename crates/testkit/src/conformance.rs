//! Does a server keep the rules of HTTP/2 (RFC 9113) and HPACK (RFC 7541)? Cases by section, each a short
//! conversation and what must become of it.
//!
//! The cases are our own reading of the RFCs; nothing here comes from another suite. A server under test answers
//! GET and POST of a path with 200 and a body of at least five bytes.

mod flow;
mod frames;
mod hpack;
mod messages;
mod probe;
mod settings;
mod streams;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::{Address, TlsClient};

pub use probe::Probe;

/// A server, and how to reach it.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: Address,
    /// `None`: HTTP/2 without TLS, by prior knowledge.
    pub tls: Option<TlsClient>,
    pub path: String,
    /// How long a case waits for something that should come; what does come is not waited for.
    pub patience: Duration,
}

/// One rule, and the conversation that shows whether it is kept.
pub struct Case {
    /// For example `9113 6.5.2`.
    pub section: &'static str,
    pub rule: String,
    check: Box<dyn Fn(&mut Probe<'_>) -> Verdict + Send + Sync>,
}

/// Nothing, or why the rule is not kept.
pub type Verdict = Result<(), Failure>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// What came instead.
    Broken(String),
    /// The server's settings leave nothing to try.
    NotApplicable(&'static str),
}

impl Target {
    /// Without TLS, asking for `/`.
    pub fn new(address: impl Into<Address>) -> Target {
        Target { address: address.into(), tls: None, path: "/".to_string(), patience: Duration::from_secs(2) }
    }

    pub fn tls(mut self, tls: TlsClient) -> Target {
        self.tls = Some(tls);
        self
    }
}

impl Case {
    fn new(
        section: &'static str,
        rule: impl Into<String>,
        check: impl Fn(&mut Probe<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Case {
        Case { section, rule: rule.into(), check: Box::new(check) }
    }

    /// Tries it on a connection of its own.
    pub fn run(&self, target: &Target) -> Verdict {
        // A server that hangs up while the case is still talking makes the kit panic; that is a verdict too.
        let attempt = catch_unwind(AssertUnwindSafe(|| (self.check)(&mut Probe::connect(target))));
        attempt.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(Failure::Broken(text.unwrap_or("a panic").to_string()))
        })
    }
}

/// All of them, in the order of the sections.
pub fn cases() -> Vec<Case> {
    let parts = [
        frames::cases(),
        streams::cases(),
        settings::cases(),
        flow::cases(),
        messages::cases(),
        hpack::cases(),
    ];
    let mut cases: Vec<Case> = parts.into_iter().flatten().collect();
    let key = |case: &Case| {
        let numbers = case.section.split([' ', '.']);
        numbers.filter_map(|number| number.parse().ok()).collect::<Vec<u32>>()
    };
    // RFC 9113 comes first.
    cases.sort_by_key(|case| (case.section.starts_with("7541"), key(case)));
    cases
}

#[cfg(test)]
mod tests;

//! When a change is made: conditions beyond those of the route.

use http1::{Name, ResponseHead};

use crate::message::{Client, MediaRange, Request, StatusSet};

/// All that is named here must hold; what is empty always does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    /// As written; methods are case-sensitive (RFC 9110 section 9.1).
    pub methods: Vec<String>,
    /// The client speaks TLS, or does not.
    pub secure: Option<bool>,
    /// Of the answer.
    pub status: Option<StatusSet>,
    /// Of the answer: one of these.
    pub content_types: Vec<MediaRange>,
}

impl When {
    pub fn holds_for_request(&self, client: &Client, request: &Request<'_>) -> bool {
        let is_method = |method: &String| method.as_bytes() == request.head.method_name();
        self.secure.is_none_or(|secure| secure == request.is_secure(client))
            && (self.methods.is_empty() || self.methods.iter().any(is_method))
    }

    pub fn holds_for_answer(&self, head: &ResponseHead) -> bool {
        let fits = |value: &[u8]| self.content_types.iter().any(|range| range.covers(value));
        self.status.as_ref().is_none_or(|set| set.contains(head.status))
            && (self.content_types.is_empty() || head.fields.get(Name::ContentType).is_some_and(fits))
    }

    /// It always holds.
    pub fn is_always(&self) -> bool {
        *self == When::default()
    }
}

//! Pages of the operator for statuses: in place of those of the proxy, and where that is wanted in place of what
//! upstreams answer. A call of gRPC gets none (`grpc`), nor does a client that asks for JSON first and would get
//! something else.

use http1::{Name, RequestHead};

use super::pages::{Form, advice, named_first};
use super::template::Template;
use super::{Body, Escape, MediaRange, Response, SharedText, StatusSet, Values, grpc};

/// One `[error_pages.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage {
    pub name: String,
    /// Any host when empty.
    pub hosts: Vec<PageHost>,
    /// Within 400 to 599.
    pub statuses: StatusSet,
    pub body: Template,
    pub content_type: String,
    /// Answers of upstreams get it too.
    pub intercept: bool,
    /// What is answered in place of the status.
    pub status: Option<u16>,
}

/// Lower case; a wildcard is one or more labels in front of the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageHost {
    pub name: String,
    pub wildcard: bool,
}

/// All pages of a configuration.
#[derive(Debug, Clone, Default)]
pub struct ErrorPages {
    pages: Vec<ReadyPage>,
    intercepts: bool,
}

/// A page, ready to be sent.
#[derive(Debug, Clone)]
pub struct ReadyPage {
    pub page: ErrorPage,
    /// A text without variables.
    shared: Option<SharedText>,
}

/// How well a page fits; the greater, the better.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    /// Length of the host, which is longer where more is known of it; an exact one is the longest.
    host: usize,
    /// The fewer statuses it is for, the better.
    narrowness: u16,
    is_named_first: bool,
}

impl ErrorPages {
    pub fn new(pages: Vec<ErrorPage>) -> ErrorPages {
        let intercepts = pages.iter().any(|page| page.intercept);
        ErrorPages { intercepts, pages: pages.into_iter().map(ReadyPage::new).collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Whether there may be a page for an answer with this status; without a look at the pages for most.
    #[inline]
    pub fn concern(&self, response: &Response<'_>) -> bool {
        response.head.status >= 400 && (self.intercepts || (response.is_page && !self.is_empty()))
    }

    /// The page for a request whose answer has this status; one that intercepts, unless the answer is the proxy's own.
    pub fn find(&self, head: &RequestHead, status: u16, is_own: bool) -> Option<&ReadyPage> {
        if grpc::Framing::of_call(head).is_some() {
            return None;
        }
        let first = named_first(head);
        let fits = self.pages.iter().filter(|ready| is_own || ready.page.intercept).filter_map(|ready| {
            let page = &ready.page;
            let host = page.host_fit(head.host())?;
            let narrowness = page.narrowness(status)?;
            let is_named_first = first.is_some_and(|first| page.form() == Some(first));
            let suits = page.is_accepted(head) && (is_named_first || first != Some(Form::Json));
            suits.then_some((Fit { host, narrowness, is_named_first }, ready))
        });
        // Of equals the first one.
        fits.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, ready)| ready)
    }

    /// Those that may be shown for a host, for people.
    pub fn of_host<'p>(&'p self, host: &'p [u8]) -> impl Iterator<Item = &'p ErrorPage> {
        self.pages.iter().map(|ready| &ready.page).filter(move |page| page.host_fit(host).is_some())
    }
}

impl ErrorPage {
    fn host_fit(&self, host: &[u8]) -> Option<usize> {
        if self.hosts.is_empty() {
            return Some(0);
        }
        self.hosts.iter().filter_map(|pattern| pattern.fit(host)).max()
    }

    fn narrowness(&self, status: u16) -> Option<u16> {
        let ranges = self.statuses.0.iter().filter(|(first, last)| (*first..=*last).contains(&status));
        ranges.map(|(first, last)| u16::MAX - (last - first)).max()
    }

    fn form(&self) -> Option<Form> {
        match Escape::of(&self.content_type) {
            Escape::Json => Some(Form::Json),
            Escape::Plain => Some(Form::Text),
            Escape::Script => None,
            Escape::Markup => self.content_type.contains("html").then_some(Form::Html),
        }
    }

    /// A range with `q=0` is none (RFC 9110 section 12.4.2). Who accepts nothing that is known here gets the page too:
    /// it is no worse than another.
    fn is_accepted(&self, head: &RequestHead) -> bool {
        let ranges = head.fields.all(Name::Accept).flat_map(|value| value.split(|byte| *byte == b','));
        for range in ranges {
            let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let media = parts.next().and_then(|media| MediaRange::parse(std::str::from_utf8(media).ok()?));
            let refused = parts.any(|part| matches!(part, b"q=0" | b"q=0.0" | b"q=0.00" | b"q=0.000"));
            let covers = |media: MediaRange| {
                media.covers(self.content_type.as_bytes())
                    || (self.form() == Some(Form::Json) && media.covers(b"application/json"))
            };
            if !refused && media.is_some_and(covers) {
                return true;
            }
        }
        named_first(head).is_none()
    }
}

impl ReadyPage {
    fn new(page: ErrorPage) -> ReadyPage {
        let shared = page.body.as_text().map(SharedText::new);
        ReadyPage { page, shared }
    }

    /// The text of the page for an answer.
    pub fn body(&self, values: &Values<'_, '_>) -> Body<'static> {
        match &self.shared {
            Some(text) => text.body(),
            None => Body::Text(self.page.fill(values).into()),
        }
    }

    /// Puts the text in place of an answer's body. Of its fields those stay that are not about the body.
    pub fn put(&self, body: Body<'static>, response: &mut Response<'_>) {
        let fields = &mut response.head.fields;
        fields.retain(|field| !is_about_body(field.name));
        fields.push(Name::ContentType, b"Content-Type", self.page.content_type.as_bytes());
        fields.push(Name::CacheControl, b"Cache-Control", b"no-store");
        response.announced = None;
        response.is_page = true;
        response.body = body;
    }
}

impl ErrorPage {
    fn fill(&self, values: &Values<'_, '_>) -> Vec<u8> {
        let mut text = Vec::new();
        let escape = Escape::of(&self.content_type);
        let said = if values.message.is_empty() {
            advice(values.response.map_or(0, |head| head.status))
        } else {
            values.message
        };
        let values = Values { message: said, ..*values };
        self.body.write_escaped(&values, &mut text, |_, value, out| escape.write(value, out));
        text
    }
}

impl PageHost {
    fn fit(&self, host: &[u8]) -> Option<usize> {
        let name = self.name.as_bytes();
        match host.strip_suffix(name) {
            Some([]) if !self.wildcard => Some(usize::MAX),
            Some([_, .., b'.']) if self.wildcard => Some(name.len()),
            _ => None,
        }
    }
}

/// Fields that tell of a body which is not sent.
fn is_about_body(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] = [
        b"etag",
        b"last-modified",
        b"cache-control",
        b"expires",
        b"age",
        b"accept-ranges",
        b"digest",
        b"repr-digest",
    ];
    let content = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
    content || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Moment, staged};

    fn page(name: &str, hosts: &[&str], statuses: &[(u16, u16)], content_type: &str) -> ErrorPage {
        let host = |host: &&str| match host.strip_prefix("*.") {
            Some(name) => PageHost { name: name.to_owned(), wildcard: true },
            None => PageHost { name: (*host).to_owned(), wildcard: false },
        };
        ErrorPage {
            name: name.to_owned(),
            hosts: hosts.iter().map(host).collect(),
            statuses: StatusSet(statuses.to_vec()),
            body: Template::compile(name, Moment::Page).unwrap(),
            content_type: content_type.to_owned(),
            intercept: name.starts_with('i'),
            status: None,
        }
    }

    fn found(pages: &ErrorPages, host: &str, accept: &str, status: u16, is_own: bool) -> String {
        let accept = if accept.is_empty() { String::new() } else { format!("Accept: {accept}\r\n") };
        staged::request(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n{accept}\r\n"), |request| {
            pages.find(&request.head, status, is_own).map_or(String::new(), |ready| ready.page.name.clone())
        })
    }

    #[test]
    fn the_closest_host_wins_and_then_the_fewest_statuses() {
        let html = "text/html; charset=utf-8";
        let pages = ErrorPages::new(vec![
            page("any", &[], &[(400, 599)], html),
            page("any404", &[], &[(404, 404), (500, 599)], html),
            page("wild", &["*.test"], &[(400, 499)], html),
            page("closer", &["*.b.test"], &[(400, 499)], html),
            page("exact", &["a.b.test"], &[(400, 499)], html),
            page("iexact", &["a.b.test"], &[(403, 403)], html),
        ]);
        for (host, status, expected) in [
            ("other", 404, "any404"),
            ("other", 403, "any"),
            ("other", 503, "any404"),
            ("x.test", 404, "wild"),
            ("test", 404, "any404"),
            ("atest", 404, "any404"),
            ("x.b.test", 404, "closer"),
            ("y.x.b.test", 404, "closer"),
            ("a.b.test", 404, "exact"),
            ("a.b.test", 403, "iexact"),
            ("a.b.test", 500, "any404"),
        ] {
            assert_eq!(found(&pages, host, "", status, true), expected, "{host} {status}");
        }
        assert_eq!(found(&pages, "a.b.test", "", 403, false), "iexact");
        assert_eq!(found(&pages, "a.b.test", "", 404, false), "");
    }

    #[test]
    fn a_client_gets_a_page_that_it_can_read() {
        let html = ErrorPages::new(vec![page("html", &[], &[(404, 404)], "text/html; charset=utf-8")]);
        let both = ErrorPages::new(vec![
            page("html", &[], &[(404, 404)], "text/html"),
            page("json", &[], &[(404, 404)], "application/problem+json"),
        ]);
        for (accept, of_one, of_both) in [
            ("", "html", "html"),
            ("*/*", "html", "html"),
            ("text/html,application/xhtml+xml,*/*;q=0.8", "html", "html"),
            ("application/json", "", "json"),
            ("application/json, text/plain, */*", "", "json"),
            ("text/plain", "", ""),
            ("text/plain, */*;q=0.1", "html", "html"),
            ("text/*", "html", "html"),
            ("image/png", "html", "html"),
            ("text/html;q=0, text/plain", "", ""),
        ] {
            assert_eq!(found(&html, "a", accept, 404, true), of_one, "{accept}");
            assert_eq!(found(&both, "a", accept, 404, true), of_both, "{accept}");
        }
        staged::request("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n\r\n", |request| {
            assert!(html.find(&request.head, 404, true).is_none());
        });
    }
}

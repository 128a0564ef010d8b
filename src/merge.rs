//! One JSON object of the answers of several upstreams, which are asked at the same time: a target that spares a client
//! the trips. Each member is a request of its own, with its time-outs, retries and place in the pool.

use std::borrow::Cow;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use http1::name::same_name;
use http1::{Method, Name, RequestHead};

use crate::message::path::{Canonical, canonicalise, push_escape};
use crate::message::{
    Body, Collected, Exchange, Failure, Interim, Reading, Recycled, Request, Response, Stop, Template,
    Values, Variable, json, pages,
};
use crate::observe::Record;
use crate::upstream::{Sending, Upstream};
use crate::wire::Watchdog;

/// One member as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberOptions {
    pub name: String,
    /// Name of an upstream that exists.
    pub upstream: String,
    /// Path and maybe query.
    pub path: Template,
    /// `null` when it fails.
    pub optional: bool,
}

/// Most bytes of one member.
const MAX_MEMBER: usize = 1 << 20;

/// It, ready to ask.
#[derive(Debug)]
pub struct Merge {
    members: Vec<Member>,
    sending: Sending,
}

#[derive(Debug)]
struct Member {
    /// `"name":`
    key: Vec<u8>,
    upstream: Arc<Upstream>,
    path: Template,
    optional: bool,
}

/// What is asked of one member.
struct Asked {
    path: Vec<u8>,
    query: Option<Vec<u8>>,
}

/// JSON of one member.
type Outcome = Result<Collected, Failure>;

impl Merge {
    /// `sending` is without a fallback and a mirror.
    pub fn new(
        members: &[MemberOptions],
        upstream: &dyn Fn(&str) -> Arc<Upstream>,
        sending: Sending,
    ) -> Merge {
        let ready = |member: &MemberOptions| {
            let mut key = Vec::new();
            json::write_string(&member.name, &mut key);
            key.push(b':');
            let (upstream, path) = (upstream(&member.upstream), member.path.clone());
            Member { key, upstream, path, optional: member.optional }
        };
        Merge { members: members.iter().map(ready).collect(), sending }
    }

    /// Asks all, and fails as soon as one fails that is needed.
    pub async fn answer(
        &self,
        exchange: Exchange<'_>,
        request: &Request<'_>,
        record: &mut Record,
    ) -> Result<Response<'static>, Failure> {
        if !matches!(request.head.method, Method::Get | Method::Head) {
            let mut refused = pages::page(405, &request.head, &request.id);
            refused.head.fields.push(Name::Other, b"Allow", b"GET, HEAD");
            return Ok(refused);
        }
        let values = Values::of_request(exchange, request);
        let asked: Vec<Asked> =
            self.members.iter().map(|member| Asked::of(&member.path, &values)).collect::<Result<_, _>>()?;
        let asked_at = record.asked;
        let call = |(member, asked)| {
            Some(Box::pin(async move {
                let mut own = Record::new(asked_at, *exchange.client);
                let outcome = self.ask(member, asked, exchange, request, &mut own).await;
                (outcome, own)
            }))
        };
        let mut calls: Vec<_> = self.members.iter().zip(&asked).map(call).collect();
        let mut found: Vec<Option<Collected>> = self.members.iter().map(|_| None).collect();
        // They are few: all of them are polled, whichever it was that has woken.
        let failed = poll_fn(|cx| {
            let mut all_ready = true;
            for ((call, place), member) in calls.iter_mut().zip(&mut found).zip(&self.members) {
                let Some(future) = call else { continue };
                match future.as_mut().poll(cx) {
                    Poll::Pending => all_ready = false,
                    Poll::Ready((Err(failure), own)) if !member.optional => {
                        return Poll::Ready(Some((failure, own)));
                    }
                    Poll::Ready((outcome, _)) => {
                        *place = outcome.ok();
                        *call = None;
                    }
                }
            }
            if all_ready { Poll::Ready(None) } else { Poll::Pending }
        })
        .await;
        drop(calls);
        record.upstream_time = record.asked.elapsed();
        if let Some((failure, own)) = failed {
            record.endpoint = own.endpoint;
            return Err(failure);
        }
        let mut response = Response::text(200, b"application/json", Cow::default());
        // Each of the answers may be one of those that nobody may keep.
        response.head.fields.push(Name::CacheControl, b"Cache-Control", b"no-store");
        response.body = Collected::made(self.joined(&found))?.into_body();
        Ok(response)
    }

    fn joined(&self, found: &[Option<Collected>]) -> Vec<u8> {
        let mut text = vec![b'{'];
        for (member, value) in self.members.iter().zip(found) {
            if text.len() > 1 {
                text.push(b',');
            }
            text.extend_from_slice(&member.key);
            text.extend_from_slice(value.as_ref().map_or(b"null", |value| value.bytes().trim_ascii()));
        }
        text.push(b'}');
        text
    }

    async fn ask(
        &self,
        member: &Member,
        asked: &Asked,
        exchange: Exchange<'_>,
        request: &Request<'_>,
        record: &mut Record,
    ) -> Outcome {
        let (interim, watchdog, is_call) = (Interim::default(), Watchdog::new(), Cell::new(false));
        let mut own = Request {
            head: asked.head(&request.head),
            body: Body::Empty,
            id: request.id.clone(),
            upgrade: None,
            interim: &interim,
            watchdog: &watchdog,
            is_call: &is_call,
            secured: request.secured,
        };
        let response = member.upstream.send(exchange.client, &mut own, &self.sending, record).await?;
        let fields = &response.head.fields;
        let unfit = if !(200..300).contains(&response.head.status) {
            Some("status")
        } else if !fields.get(Name::ContentType).is_some_and(json::is_type) {
            Some("content-type")
        } else if fields.contains(Name::ContentEncoding) {
            Some("content-encoding")
        } else {
            None
        };
        if let Some(why) = unfit {
            return Err(Failure::UnfitAnswer(why));
        }
        match response.body {
            Body::Received(buffer) => checked(Collected::made(buffer.data().to_vec())?),
            Body::Text(text) => checked(Collected::made(text.into_owned())?),
            Body::Stream(mut stream) => match Collected::read(stream.as_mut(), MAX_MEMBER).await? {
                Reading::Whole(collected) => checked(collected),
                Reading::Part(_, Stop::TooLarge) => Err(Failure::UnfitAnswer("size")),
                Reading::Part(_, Stop::NoRoom) => Err(Failure::OutOfSpace),
            },
            Body::Empty | Body::File(_) | Body::Upgraded(_) => Err(Failure::UnfitAnswer("body")),
        }
    }
}

fn checked(member: Collected) -> Outcome {
    if member.bytes().len() > MAX_MEMBER {
        return Err(Failure::UnfitAnswer("size"));
    }
    json::parse(member.bytes()).map_err(|error| Failure::UnfitAnswer(error.reason()))?;
    Ok(member)
}

impl Asked {
    /// A value that would lead to another path than the one that was meant is refused.
    fn of(template: &Template, values: &Values<'_, '_>) -> Result<Asked, Failure> {
        let mut target = Vec::new();
        template.write_escaped(values, &mut target, push_value);
        // A `?` of a value is encoded: the first one is the template's.
        let (path, query) = match memchr::memchr(b'?', &target) {
            Some(at) => {
                let query = target.split_off(at);
                (target, query.get(1..).map(<[u8]>::to_vec))
            }
            None => (target, None),
        };
        match canonicalise(&path, &mut Vec::new()) {
            // Nothing in place of a name is all that has one.
            Ok(Canonical::Same) if path.ends_with(b"/") && !ends_in_slash(template) => {
                Err(Failure::BadPath("path_merged"))
            }
            Ok(Canonical::Same) => Ok(Asked { path, query }),
            Ok(Canonical::Changed) => Err(Failure::BadPath("path_merged")),
            Err(error) => Err(Failure::BadPath(error.code())),
        }
    }

    /// The client's head, for all of the answer and without what is about its own body.
    fn head(&self, client: &RequestHead) -> Recycled<RequestHead> {
        const CONDITIONS: [&[u8]; 8] = [
            b"range",
            b"if-range",
            b"if-match",
            b"if-none-match",
            b"if-modified-since",
            b"if-unmodified-since",
            b"content-language",
            b"content-location",
        ];
        let mut head = Recycled::<RequestHead>::take();
        head.clone_from(client);
        head.set_get();
        head.set_path(&self.path);
        head.set_query(self.query.as_deref());
        head.fields.retain(|field| {
            !matches!(
                field.known,
                Name::AcceptEncoding
                    | Name::ContentEncoding
                    | Name::ContentLength
                    | Name::ContentType
                    | Name::Te
                    | Name::Expect
            ) && !CONDITIONS.iter().any(|name| same_name(field.name, name))
        });
        head
    }
}

fn ends_in_slash(template: &Template) -> bool {
    template.to_string().split('?').next().is_some_and(|path| path.ends_with('/'))
}

/// What a value has that is no plain letter is percent-encoded; what was encoded already stays so.
fn push_value(_: &Variable, value: &[u8], out: &mut Vec<u8>) {
    for (index, byte) in value.iter().enumerate() {
        let is_escape = *byte == b'%'
            && value.get(index + 1..index + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if is_plain || is_escape { out.push(*byte) } else { push_escape(*byte, out) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Client, Moment, Protocol, staged};
    use crate::wire::Peer;

    fn asked(template: &str, query: &str) -> Result<String, Failure> {
        let template = Template::compile(template, Moment::Request).unwrap();
        let client = Client::new(Peer::Unix);
        let exchange = Exchange { client: &client, protocol: Protocol::Http1, route: "", endpoint: None };
        staged::request(&format!("GET /?{query} HTTP/1.1\r\nHost: a\r\n\r\n"), |request| {
            let asked = Asked::of(&template, &Values::of_request(exchange, request))?;
            let query =
                asked.query.map_or(String::new(), |query| format!("?{}", String::from_utf8(query).unwrap()));
            Ok(String::from_utf8(asked.path).unwrap() + &query)
        })
    }

    #[test]
    fn a_value_stays_within_its_segment_or_parameter() {
        for (template, query, expected) in [
            ("/u/{query.id}", "id=7", "/u/7"),
            ("/u/{query.id}", "id=a%20b", "/u/a%20b"),
            ("/u/{query.id}", "id=a?b=c;d", "/u/a%3Fb%3Dc%3Bd"),
            ("/u/{query.id}/x", "id=...", "/u/.../x"),
            ("/u?id={query.id}&x=1", "id=1%26y=2", "/u?id=1%26y%3D2&x=1"),
            ("/u?id={query.id}", "id=../../x?y", "/u?id=..%2F..%2Fx%3Fy"),
            ("/u?id={query.none}", "", "/u?id="),
        ] {
            assert_eq!(asked(template, query).as_deref(), Ok(expected), "{template} {query}");
        }
        for query in ["id=..", "id=.", "id=%2e%2e", "id=", "id=a/../b", "id=a%2fb", "id=%00", "id=%5c"] {
            let outcome = asked("/u/{query.id}/x", query);
            assert!(matches!(outcome, Err(Failure::BadPath(_))), "{query} {outcome:?}");
        }
        assert!(asked("/u/{query.id}?a=1/", "id=").is_err());
        assert_eq!(asked("/u/", "id=").as_deref(), Ok("/u/"));
    }
}

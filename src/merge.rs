//! One JSON object of the answers of several upstreams, which are asked at the same time: a target that spares a client
//! the trips. Each member is a request of its own, with its time-outs, retries and place in the pool.

use std::borrow::Cow;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http1::{Method, Name, RequestHead};

use crate::message::{
    AskedTarget, Body, Collected, Exchange, Failure, Interim, Reading, Recycled, Request, Response, Stop,
    Template, Values, is_of_own_message, json, pages,
};
use crate::observe::Record;
use crate::upstream::{Sending, Upstream};
use crate::wire::Watchdog;

/// `merge` and `merge_timeout` of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeOptions {
    pub members: Vec<MemberOptions>,
    /// For all of them, up to the last byte.
    pub timeout: Duration,
}

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
    timeout: Duration,
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

/// JSON of one member.
type Outcome = Result<Collected, Failure>;

impl Merge {
    /// `sending` is without a fallback and a mirror.
    pub fn new(options: &MergeOptions, upstream: &dyn Fn(&str) -> Arc<Upstream>, sending: Sending) -> Merge {
        let ready = |member: &MemberOptions| {
            let mut key = Vec::new();
            json::write_string(&member.name, &mut key);
            key.push(b':');
            let (upstream, path) = (upstream(&member.upstream), member.path.clone());
            Member { key, upstream, path, optional: member.optional }
        };
        let members = options.members.iter().map(ready).collect();
        Merge { members, timeout: options.timeout, sending }
    }

    /// Asks all, and fails as soon as one fails that is needed. One that is not there in time has failed.
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
        let asked = self.members.iter().map(|member| AskedTarget::of(&member.path, &values));
        let asked: Vec<AskedTarget> = asked.collect::<Result<_, _>>()?;
        let mut records: Vec<Record> =
            self.members.iter().map(|_| Record::new(record.asked, *exchange.client)).collect();
        let call = |((member, asked), own)| Some(Box::pin(self.ask(member, asked, exchange, request, own)));
        let mut calls: Vec<_> = self.members.iter().zip(&asked).zip(&mut records).map(call).collect();
        let mut found: Vec<Option<Collected>> = self.members.iter().map(|_| None).collect();
        let mut late = pin!(tokio::time::sleep(self.timeout));
        // They are few: all of them are polled, whichever it was that has woken.
        let failed = poll_fn(|cx| {
            let mut all_ready = true;
            let is_late = late.as_mut().poll(cx).is_ready();
            let places = calls.iter_mut().zip(&mut found).zip(&self.members);
            for (index, ((call, place), member)) in places.enumerate() {
                let Some(future) = call else { continue };
                let outcome = match future.as_mut().poll(cx) {
                    Poll::Ready(outcome) => outcome,
                    Poll::Pending if is_late => Err(Failure::ReadTimeout),
                    Poll::Pending => {
                        all_ready = false;
                        continue;
                    }
                };
                match outcome {
                    Err(failure) if !member.optional => return Poll::Ready(Some((index, failure))),
                    outcome => {
                        *call = None;
                        *place = outcome.ok();
                    }
                }
            }
            if all_ready { Poll::Ready(None) } else { Poll::Pending }
        })
        .await;
        drop(calls);
        record.upstream_time = record.asked.elapsed();
        if let Some((index, failure)) = failed {
            record.endpoint = records.into_iter().nth(index).and_then(|own| own.endpoint);
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
        asked: &AskedTarget,
        exchange: Exchange<'_>,
        request: &Request<'_>,
        record: &mut Record,
    ) -> Outcome {
        let (interim, watchdog, is_call) = (Interim::default(), Watchdog::new(), Cell::new(false));
        let mut own = Request {
            head: head(asked, &request.head),
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

/// The client's head, for all of the answer and without what is about its own body.
fn head(target: &AskedTarget, client: &RequestHead) -> Recycled<RequestHead> {
    let mut head = Recycled::<RequestHead>::take();
    head.clone_from(client);
    head.set_get();
    target.put(&mut head);
    head.fields.retain(|field| field.known != Name::AcceptEncoding && !is_of_own_message(field));
    head
}

//! Changes to JSON in the bodies of requests and answers. A body is read whole for it, up to a limit, as what is to be
//! removed may stand at its end.

mod edit;
mod pointer;
mod rejoined;

use http1::{BodyLength, Method, Name};

use self::edit::edit;
pub use self::edit::{MOST_STEPS, Operation};
pub use self::pointer::{EACH, Pointer};
use self::rejoined::Rejoined;
use super::coding::representation::{Coded, Known, ask_for_all, changed, content_coding, is_part};
use super::coding::whole::stream;
use crate::message::json::{is_type, write_string};
use crate::message::{
    Body, Collected, Exchange, Failure, Reading, Request, Response, Stop, Template, Values,
};

/// `request_json` or `response_json` of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonEdits {
    pub operations: Vec<Operation<JsonValue>>,
    /// Larger bodies are not changed; in bytes.
    pub max_size: usize,
    pub on_error: OnError,
}

/// What becomes of a body that cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The request fails: what should be removed does not slip through.
    #[default]
    Fail,
    /// It goes on as it is.
    Pass,
}

/// A value of the configuration, whose strings may have variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonValue {
    /// Number, `true` or `false`, as JSON.
    Scalar(String),
    Text(Template),
    Array(Vec<JsonValue>),
    Object(Vec<(String, JsonValue)>),
}

impl JsonValue {
    fn write(&self, values: &Values<'_, '_>, out: &mut Vec<u8>) {
        match self {
            JsonValue::Scalar(text) => out.extend_from_slice(text.as_bytes()),
            JsonValue::Text(template) => {
                let mut text = Vec::new();
                template.write(values, &mut text);
                write_string(&String::from_utf8_lossy(&text), out);
            }
            JsonValue::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    out.extend_from_slice(if index > 0 { b"," } else { b"" });
                    item.write(values, out);
                }
                out.push(b']');
            }
            JsonValue::Object(members) => {
                out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    out.extend_from_slice(if index > 0 { b"," } else { b"" });
                    write_string(name, out);
                    out.push(b':');
                    value.write(values, out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Asks the origin for what can be changed: all of it, and not coded.
pub fn ask(request: &mut Request<'_>) {
    ask_for_all(&mut request.head.fields);
}

impl JsonEdits {
    /// Changes the body of a request, which is whole then.
    pub async fn edit_request(
        &self,
        exchange: Exchange<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), Failure> {
        let fields = &request.head.fields;
        if !fields.get(Name::ContentType).is_some_and(is_type) || matches!(request.body, Body::Empty) {
            return Ok(());
        }
        let passes = self.on_error == OnError::Pass;
        if content_coding(fields) != Coded::Plain {
            return if passes { Ok(()) } else { Err(Failure::CodedBody) };
        }
        if let BodyLength::Exact(length) = request.body.length()
            && length > self.max_size as u64
        {
            return if passes { Ok(()) } else { Err(Failure::JsonTooLarge) };
        }
        let Ok(mut body) = stream(std::mem::take(&mut request.body)) else { return Ok(()) };
        request.body = match Collected::read(body.as_mut(), self.max_size).await? {
            // As if it had been announced to be empty.
            Reading::Whole(whole) if whole.bytes().is_empty() => whole.into_body(),
            Reading::Whole(whole) => {
                let values = Values::of_request(exchange, request);
                match self.edit(whole.bytes(), &values) {
                    Ok(text) => {
                        drop(whole);
                        let fields = &mut request.head.fields;
                        fields.remove(Name::ContentLength);
                        changed(fields);
                        Collected::made(text)?.into_body()
                    }
                    Err(_) if passes => whole.into_body(),
                    Err(reason) => return Err(Failure::BadJson(reason)),
                }
            }
            Reading::Part(beginning, _) if passes => Body::Stream(Box::new(Rejoined::new(beginning, body))),
            Reading::Part(_, Stop::TooLarge) => return Err(Failure::JsonTooLarge),
            Reading::Part(_, Stop::NoRoom) => return Err(Failure::OutOfSpace),
        };
        Ok(())
    }

    /// Changes the body of an answer, which is whole then. Pages of the proxy stay as they are.
    pub async fn edit_answer(
        &self,
        exchange: Exchange<'_>,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Result<(), Failure> {
        let (status, fields) = (response.head.status, &response.head.fields);
        let is_meant = fields.get(Name::ContentType).map_or(status == 304, is_type);
        if !is_meant || response.is_page {
            return Ok(());
        }
        if status == 304 {
            Known::of(&request.head.fields).name_again(&mut response.head.fields);
            return Ok(());
        }
        let passes = self.on_error == OnError::Pass;
        let why = if content_coding(fields) != Coded::Plain {
            Some("content-encoding")
        } else if is_part(status, fields) {
            Some("content-range")
        } else {
            None
        };
        match why {
            Some(_) if passes => return Ok(()),
            Some(why) => return Err(Failure::UnfitAnswer(why)),
            None => {}
        }
        let has_body = request.head.method != Method::Head && status != 204;
        if has_body {
            let body = std::mem::take(&mut response.body);
            let (body, is_edited) = self.edit_body(exchange, request, response, body).await?;
            response.body = body;
            if !is_edited {
                return Ok(());
            }
        }
        response.announced = None;
        changed(&mut response.head.fields);
        Ok(())
    }

    /// The body, and whether it is another one now.
    async fn edit_body<'c>(
        &self,
        exchange: Exchange<'_>,
        request: &Request<'_>,
        response: &Response<'_>,
        body: Body<'c>,
    ) -> Result<(Body<'c>, bool), Failure> {
        let mut body = match stream(body) {
            Ok(body) => body,
            Err(body) => return Ok((body, false)),
        };
        let passes = self.on_error == OnError::Pass;
        match Collected::read(body.as_mut(), self.max_size).await? {
            Reading::Whole(whole) if whole.bytes().is_empty() => Ok((whole.into_body(), false)),
            Reading::Whole(whole) => {
                match self.edit(whole.bytes(), &Values::of_answer(exchange, request, response)) {
                    Ok(text) => {
                        drop(whole);
                        Ok((Collected::made(text)?.into_body(), true))
                    }
                    Err(_) if passes => Ok((whole.into_body(), false)),
                    Err(reason) => Err(Failure::UnfitAnswer(reason)),
                }
            }
            Reading::Part(beginning, _) if passes => {
                Ok((Body::Stream(Box::new(Rejoined::new(beginning, body))), false))
            }
            Reading::Part(_, Stop::TooLarge) => Err(Failure::UnfitAnswer("response_json.max_size")),
            Reading::Part(_, Stop::NoRoom) => Err(Failure::OutOfSpace),
        }
    }

    /// The error is a code for the log.
    fn edit(&self, text: &[u8], values: &Values<'_, '_>) -> Result<Vec<u8>, &'static str> {
        let written = |value: &JsonValue| {
            let mut out = Vec::new();
            value.write(values, &mut out);
            out
        };
        let filled: Vec<Operation<Vec<u8>>> =
            self.operations.iter().map(|operation| operation.map(written)).collect();
        let operations: Vec<Operation<&[u8]>> =
            filled.iter().map(|operation| operation.map(Vec::as_slice)).collect();
        edit(text, &operations, self.max_size.max(LEAST_GROWTH)).map_err(|error| error.reason())
    }
}

/// What a small limit leaves for what is added.
const LEAST_GROWTH: usize = 64 << 10;

impl<V> Operation<V> {
    /// The same with another kind of value.
    fn map<'o, W>(&'o self, make: impl Fn(&'o V) -> W) -> Operation<W> {
        match self {
            Operation::Remove(pointer) => Operation::Remove(pointer.clone()),
            Operation::Rename(from, to) => Operation::Rename(from.clone(), to.clone()),
            Operation::Set(pointer, value) => Operation::Set(pointer.clone(), make(value)),
            Operation::Wrap(pointer) => Operation::Wrap(pointer.clone()),
            Operation::Unwrap(pointer) => Operation::Unwrap(pointer.clone()),
            Operation::Keep(pointers) => Operation::Keep(pointers.clone()),
        }
    }
}

//! The answer with a file: which form of it, whether the client has it already, and which bytes of it.

use std::time::{SystemTime, UNIX_EPOCH};

use http1::{Method, Name};

use super::conditions::{Conditions, Validators, Verdict};
use super::found::{Form, FoundFile};
use super::multipart::Multipart;
use super::options::FilesOptions;
use super::ranges::{Range, Wanted, wanted};
use crate::message::accept_encoding::{Accepted, Coding};
use crate::message::{Body, FileBody, Request, RequestId, Response, pages};

/// A file, in the form that the client wants most.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'f> {
    file: &'f FoundFile,
    coding: Option<Coding>,
    pub form: &'f Form,
}

impl<'f> Chosen<'f> {
    pub fn of(file: &'f FoundFile, request: &Request<'_>) -> Chosen<'f> {
        let plain = Chosen { file, coding: None, form: &file.plain };
        if file.encoded.is_empty() {
            return plain;
        }
        let coding = Accepted::of(&request.head.fields).choose(&file.codings);
        let found = coding.and_then(|coding| file.encoded.iter().find(|(other, _)| *other == coding));
        found.map_or(plain, |(coding, form)| Chosen { file, coding: Some(*coding), form })
    }

    /// The answer to a GET or HEAD. `vary` names fields that the choice of this file depended on.
    pub fn reply(self, request: &Request<'_>, options: &FilesOptions, vary: &str) -> Response<'static> {
        let head = &request.head;
        let conditions = Conditions::of(&head.fields);
        let validators = Validators {
            etag: self.form.etag.as_bytes(),
            modified: self.form.modified.as_ref().map(|(seconds, _)| *seconds),
        };
        // Only `If-Range` asks for the time of now.
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut response = match conditions.judge(&head.fields, head.method, validators, now) {
            Verdict::Failed => return pages::page(412, head, &request.id),
            Verdict::NotModified => Response::empty(304),
            Verdict::Whole => self.whole(head.method),
            Verdict::Ranges => match wanted(conditions.range().unwrap_or_default(), self.form.size) {
                Wanted::Whole => self.whole(head.method),
                Wanted::Nothing => return self.nothing(request),
                Wanted::Ranges(ranges) => self.parts(&ranges),
            },
        };
        self.describe(&mut response, options, vary);
        response
    }

    fn whole(self, method: Method) -> Response<'static> {
        let mut response = Response::empty(200);
        match (method, self.form.size) {
            (Method::Head, size) => response.announced = Some(size),
            (_, 0) => {}
            (_, size) => response.body = self.body(0, size),
        }
        self.push_type(&mut response);
        response
    }

    fn parts(self, ranges: &[Range]) -> Response<'static> {
        let mut response = Response::empty(206);
        let size = self.form.size;
        if let [range] = ranges {
            response.body = self.body(range.first, range.count());
            self.push_type(&mut response);
            let value = format!("bytes {}-{}/{size}", range.first, range.last);
            response.head.fields.push(Name::Other, b"Content-Range", value.as_bytes());
            return response;
        }
        let boundary = RequestId::make();
        let boundary = boundary.as_str();
        let parts = Multipart::new(self.form.file.clone(), ranges, size, &self.file.media_type, boundary);
        response.body = Body::Stream(Box::new(parts));
        let value = format!("multipart/byteranges; boundary={boundary}");
        response.head.fields.push(Name::ContentType, b"Content-Type", value.as_bytes());
        response
    }

    /// 416, with how much there is.
    fn nothing(self, request: &Request<'_>) -> Response<'static> {
        let mut response = pages::page(416, &request.head, &request.id);
        let value = format!("bytes */{}", self.form.size);
        response.head.fields.push(Name::Other, b"Content-Range", value.as_bytes());
        response
    }

    fn body(self, offset: u64, len: u64) -> Body<'static> {
        Body::File(Box::new(FileBody::new(self.form.file.clone(), offset, len)))
    }

    fn push_type(self, response: &mut Response<'_>) {
        response.head.fields.push(Name::ContentType, b"Content-Type", self.file.media_type.as_bytes());
    }

    /// What holds for the file whatever of it is sent, if anything (RFC 9110 section 15.4.5).
    fn describe(self, response: &mut Response<'_>, options: &FilesOptions, vary: &str) {
        let status = response.head.status;
        let fields = &mut response.head.fields;
        fields.push(Name::Other, b"ETag", self.form.etag.as_bytes());
        if let Some((_, date)) = &self.form.modified {
            fields.push(Name::Other, b"Last-Modified", date.as_bytes());
        }
        if let Some(value) = &options.cache_control {
            fields.push(Name::CacheControl, b"Cache-Control", value.as_bytes());
        }
        let encoding = if self.file.encoded.is_empty() { "" } else { "Accept-Encoding" };
        match (vary, encoding) {
            ("", "") => {}
            ("", one) | (one, "") => fields.push(Name::Other, b"Vary", one.as_bytes()),
            (one, other) => fields.push(Name::Other, b"Vary", format!("{one}, {other}").as_bytes()),
        }
        if status == 304 {
            return;
        }
        if let Some(coding) = self.coding {
            fields.push(Name::ContentEncoding, b"Content-Encoding", coding.token().as_bytes());
        }
        fields.push(Name::Other, b"Accept-Ranges", b"bytes");
        fields.push(Name::Other, b"X-Content-Type-Options", b"nosniff");
    }
}

//! gRPC-Web for clients that cannot read trailers (browsers), translated to gRPC and back: content types, base64 of
//! either body, and the trailers of the answer as its last frame.

mod answer;
mod text;

use http1::{Fields, Name, RequestHead};

use self::answer::Framed;
use self::text::Decoded;
use super::remade::Remade;
use crate::message::grpc::{self, Framing};
use crate::message::{Body, Request, Response};

/// How the client wants its answer: [`Framing::Web`] or [`Framing::WebText`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted(Framing);

/// Makes a call of gRPC of one of gRPC-Web; `None` when the request is none.
pub fn translate(request: &mut Request<'_>) -> Option<Wanted> {
    let asked = Framing::of_call(&request.head).filter(|framing| *framing != Framing::Native)?;
    let wanted = Wanted(accepted(&request.head).unwrap_or(asked));
    let fields = &mut request.head.fields;
    rename(fields, Framing::Native);
    fields.remove(Name::Te);
    fields.push(Name::Te, b"TE", b"trailers");
    if asked == Framing::WebText {
        fields.remove(Name::ContentLength);
        request.body = match std::mem::take(&mut request.body) {
            Body::Stream(stream) => Body::Stream(Box::new(Remade::new(Decoded::new(stream)))),
            body => body,
        };
    }
    Some(wanted)
}

/// The framing that `Accept` names first.
fn accepted(head: &RequestHead) -> Option<Framing> {
    let ranges = head.fields.all(Name::Accept).flat_map(|value| value.split(|byte| *byte == b','));
    let mut named = ranges.filter_map(|range| Some(Framing::of_type(range.trim_ascii())?.0));
    named.find(|framing| *framing != Framing::Native)
}

/// Gives the content type the name of another framing; what stands behind the name stays.
fn rename(fields: &mut Fields, framing: Framing) {
    let rest = fields.get(Name::ContentType).and_then(Framing::of_type).map(|(_, rest)| rest.to_vec());
    fields.remove(Name::ContentType);
    fields.push_with(Name::ContentType, b"Content-Type", |out| {
        out.extend_from_slice(framing.media_type());
        out.extend_from_slice(&rest.unwrap_or_default());
    });
}

impl Wanted {
    /// Makes an answer of gRPC-Web of one of gRPC. Any other answer stays as it is.
    pub fn translate(self, response: &mut Response<'_>) {
        if !grpc::is_answer(&response.head.fields) {
            return;
        }
        rename(&mut response.head.fields, self.0);
        response.announced = None;
        response.body = match std::mem::take(&mut response.body) {
            Body::Stream(stream) => Body::Stream(Box::new(Remade::new(Framed::new(stream, self.0)))),
            Body::File(file) => Body::Stream(Box::new(Remade::new(Framed::new(file, self.0)))),
            Body::Empty => self.whole(answer::trailer_frame(&take_status(&mut response.head.fields))),
            Body::Text(text) => self.whole(text.into_owned()),
            Body::Received(buffer) if self.0 == Framing::WebText => self.whole(buffer.data().to_vec()),
            body => body,
        };
    }

    fn whole(self, bytes: Vec<u8>) -> Body<'static> {
        match self.0 {
            Framing::WebText => Body::Text(text::encode(&bytes).into()),
            _ => Body::Text(bytes.into()),
        }
    }
}

/// What became of the call, where it stands in the head because nothing is behind that.
fn take_status(fields: &mut Fields) -> Fields {
    let tells = |name: &[u8]| name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"grpc-"));
    let mut trailers = Fields::new();
    fields.iter().filter(|field| tells(field.name)).for_each(|field| {
        trailers.push(field.known, field.name, field.value);
    });
    fields.retain(|field| !tells(field.name));
    trailers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Failure, RequestId};

    fn head(fields: &[(&str, &str)]) -> RequestHead {
        let mut text = "POST /a.B/C HTTP/1.1\r\nHost: a\r\n".to_owned();
        fields.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
        let mut head = RequestHead::default();
        let limits = &http1::HeadLimits::STRICT;
        head.read((text + "\r\n").as_bytes(), &mut http1::HeadScanner::default(), limits).unwrap().unwrap();
        head
    }

    #[test]
    fn what_is_accepted_names_the_framing_of_the_answer() {
        let cases = [
            ("*/*", None),
            ("application/grpc", None),
            ("text/html, application/grpc-web", Some(Framing::Web)),
            ("application/grpc-web-text", Some(Framing::WebText)),
            ("application/grpc-web-text+proto;q=1, application/grpc-web", Some(Framing::WebText)),
        ];
        for (accept, wanted) in cases {
            assert_eq!(accepted(&head(&[("Accept", accept)])), wanted, "{accept}");
        }
        assert_eq!(accepted(&head(&[])), None);
    }

    #[test]
    fn the_rest_of_a_content_type_stays() {
        let mut head = head(&[("content-type", "application/grpc-web-text+proto; a=b")]);
        rename(&mut head.fields, Framing::Native);
        assert_eq!(head.fields.get(Name::ContentType), Some(&b"application/grpc+proto; a=b"[..]));
    }

    #[test]
    fn a_status_in_the_head_becomes_the_last_frame() {
        let id = RequestId::make();
        for (framing, name) in
            [(Framing::Web, "application/grpc-web"), (Framing::WebText, "application/grpc-web-text")]
        {
            let mut response = grpc::explain(Failure::NoRoute, Framing::Native, &id);
            Wanted(framing).translate(&mut response);
            assert_eq!(response.head.fields.get(Name::ContentType), Some(name.as_bytes()));
            assert!(response.head.fields.all_named(b"grpc-status").next().is_none());
            let Body::Text(text) = response.body else { panic!("{:?}", response.body) };
            let frame = match framing {
                Framing::WebText => data_encoding::BASE64.decode(&text).unwrap(),
                _ => text.into_owned(),
            };
            let told = String::from_utf8(frame[5..].to_vec()).unwrap();
            assert_eq!(frame[..5], [0x80, 0, 0, 0, told.len() as u8]);
            assert!(told.starts_with("grpc-status: 12\r\ngrpc-message: Nothing"), "{told}");
        }
    }
}

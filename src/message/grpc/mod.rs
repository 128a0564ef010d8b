//! gRPC as far as a proxy has to know it: calls are known by their content type, have a deadline of their own,
//! and tell in fields of their own what became of them. By the documents "gRPC over HTTP2" and "gRPC Web" of the
//! gRPC project.

mod failed;
mod timeout;

use http1::{Fields, Method, Name, RequestHead};

pub use failed::{explain, trailers};
pub use timeout::timeout;

/// How messages are framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Native,
    /// gRPC-Web: the trailers are the last frame of the body.
    Web,
    /// gRPC-Web in base64.
    WebText,
}

impl Framing {
    /// The framing that a content type names, and what it says behind that: `+proto`, parameters, or nothing.
    pub fn of_type(content_type: &[u8]) -> Option<(Framing, &[u8])> {
        // The longest first: each of these begins with the one behind it.
        for framing in [Framing::WebText, Framing::Web, Framing::Native] {
            if let Some(rest) = after(content_type, framing)
                && matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'))
            {
                return Some((framing, rest));
            }
        }
        None
    }

    /// Of the call that a request is, when it is one: calls are made with POST.
    #[inline]
    pub fn of_call(head: &RequestHead) -> Option<Framing> {
        let content_type = head.fields.get(Name::ContentType)?;
        if head.method != Method::Post {
            return None;
        }
        Some(Framing::of_type(content_type)?.0)
    }

    /// The content type, without format and parameters.
    pub fn media_type(self) -> &'static [u8] {
        match self {
            Framing::Native => b"application/grpc",
            Framing::Web => b"application/grpc-web",
            Framing::WebText => b"application/grpc-web-text",
        }
    }
}

/// Whether an answer is one to a call, so that its trailers tell how that ended.
pub fn is_answer(fields: &Fields) -> bool {
    let content_type = fields.get(Name::ContentType);
    content_type.and_then(Framing::of_type).is_some_and(|(framing, _)| framing == Framing::Native)
}

fn after(content_type: &[u8], framing: Framing) -> Option<&[u8]> {
    let media_type = framing.media_type();
    let (head, rest) = content_type.split_at_checked(media_type.len())?;
    head.eq_ignore_ascii_case(media_type).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_content_type() {
        let cases: [(&str, Option<(Framing, &str)>); 15] = [
            ("application/grpc", Some((Framing::Native, ""))),
            ("Application/GRPC", Some((Framing::Native, ""))),
            ("application/grpc+proto", Some((Framing::Native, "+proto"))),
            ("application/grpc;charset=utf-8", Some((Framing::Native, ";charset=utf-8"))),
            ("application/grpc ; a=b", Some((Framing::Native, " ; a=b"))),
            ("application/grpc-web", Some((Framing::Web, ""))),
            ("application/grpc-web+json; a=b", Some((Framing::Web, "+json; a=b"))),
            ("application/grpc-web-text", Some((Framing::WebText, ""))),
            ("APPLICATION/grpc-web-text+proto", Some((Framing::WebText, "+proto"))),
            ("application/grpc-web-textual", None),
            ("application/grpc-webx", None),
            ("application/grpcx", None),
            ("application/grp", None),
            ("text/plain; application/grpc", None),
            ("", None),
        ];
        for (content_type, wanted) in cases {
            let wanted = wanted.map(|(framing, rest)| (framing, rest.as_bytes()));
            assert_eq!(Framing::of_type(content_type.as_bytes()), wanted, "{content_type}");
        }
    }
}

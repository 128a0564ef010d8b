//! What is answered.

use http1::ResponseHead;

use super::{Body, Recycled};

/// One answer; `'c` is the connection of the client, whose request body may still be on its way upstream
/// while the answer comes back.
#[derive(Debug)]
pub struct Response<'c> {
    pub head: Recycled<ResponseHead>,
    pub body: Body<'c>,
    /// Length that the origin announced for a body that does not follow (HEAD, 304).
    pub announced: Option<u64>,
    /// A page of the proxy's own, which a page of the operator may take the place of.
    pub is_page: bool,
}

impl Response<'_> {
    /// An answer of our own without a body.
    pub fn empty(status: u16) -> Response<'static> {
        let mut head = Recycled::<ResponseHead>::take();
        head.set_status(status);
        Response { head, body: Body::Empty, announced: None, is_page: false }
    }

    /// An answer of our own.
    pub fn text(
        status: u16,
        content_type: &[u8],
        text: std::borrow::Cow<'static, [u8]>,
    ) -> Response<'static> {
        Response::of(status, content_type, Body::Text(text))
    }

    /// An answer of our own with any body.
    pub fn of(status: u16, content_type: &[u8], body: Body<'static>) -> Response<'static> {
        let mut response = Response::empty(status);
        response.head.fields.push(http1::Name::ContentType, b"Content-Type", content_type);
        response.body = body;
        response
    }
}

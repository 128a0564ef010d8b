use crate::wire::Buffer;
impl super::entry::Connection {
    pub(super) async fn serve_http2(&self, _received: Buffer) {}
}

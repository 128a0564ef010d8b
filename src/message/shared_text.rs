//! A text of the configuration that many answers have.

use std::sync::Arc;

use super::{Body, FileBody, StoredFile};

/// However many answers are under way with it, a long one is in memory once.
#[derive(Debug, Clone)]
pub struct SharedText(Arc<StoredFile>);

/// Shorter texts are copied into the buffer that the head stands in, however they are kept. In bytes.
const SHARED_FROM: usize = 4 << 10;

impl SharedText {
    pub fn new(text: &str) -> SharedText {
        SharedText(Arc::new(StoredFile::in_memory(text.as_bytes().into())))
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes().unwrap_or_default()
    }

    /// As the body of one answer.
    pub fn body(&self) -> Body<'static> {
        let bytes = self.bytes();
        if bytes.len() < SHARED_FROM {
            return Body::Text(bytes.to_vec().into());
        }
        Body::File(Box::new(FileBody::whole(self.0.clone())))
    }
}

impl PartialEq for SharedText {
    fn eq(&self, other: &SharedText) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for SharedText {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_text_is_shared() {
        let long = SharedText::new(&"x".repeat(SHARED_FROM));
        let Body::File(one) = long.body() else { panic!("a shared body") };
        let Body::File(two) = long.clone().body() else { panic!("a shared body") };
        let address = |body: &FileBody| body.bytes().expect("it is in memory").as_ptr();
        assert_eq!(address(&one), address(&two));
        let short = SharedText::new("short");
        assert!(matches!(short.body(), Body::Text(text) if *text == *b"short"));
    }
}

//! Keys of session tickets, and the file in which several machines share them.
//!
//! ```text
//! # base64 of at least 32 random bytes, one a line; the first encrypts, all decrypt
//! lSVUiIJXZ3mJeu06BTjtEJr1Wq4lY9R4ys6HdBQmTsg=
//! ```
//!
//! The binary files of 48 or 80 bytes that nginx takes are one key each.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, RandomizedNonceKey};
use aws_lc_rs::rand;
use data_encoding::BASE64;

use crate::certificates::digest::{Digest, digest};
use crate::certificates::load::{Culprit, Flaw, read};

pub(super) const ID: usize = 16;
const LEAST_SECRET: usize = 32;
const MOST_KEYS: usize = 16;
/// As `openssl rand 48` and `openssl rand 80` make them for nginx.
const NGINX: [usize; 2] = [48, 80];

/// One key. The library wipes it when it goes.
pub(super) struct Key {
    /// By which a ticket names the key; tells nothing of it.
    pub(super) id: [u8; ID],
    pub(super) cipher: RandomizedNonceKey,
}

/// Without the key.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// `None` when the system has no random bytes to give.
    pub(super) fn random() -> Option<Key> {
        let mut secret = [0; LEAST_SECRET];
        rand::fill(&mut secret).ok()?;
        Key::of(&secret)
    }

    /// The same secret is the same key on every machine.
    fn of(secret: &[u8]) -> Option<Key> {
        let mut id = [0; ID];
        id.copy_from_slice(digest("ticket key id", [secret]).get(..ID)?);
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &digest("ticket key", [secret])).ok()?;
        Some(Key { id, cipher })
    }
}

/// The keys of a file, the first is the one that encrypts.
#[derive(Debug, Clone)]
pub struct TicketKeys {
    pub(super) keys: Vec<Arc<Key>>,
    pub(in crate::certificates) content: Digest,
}

impl TicketKeys {
    /// Reads and checks the file.
    pub fn load(path: &Path) -> Result<TicketKeys, Flaw> {
        let bytes = read(Culprit::TicketKeys, path)?;
        let wrong = |why: String| Flaw::new(Culprit::TicketKeys, format!("`{}` {why}", path.display()));
        let secrets = secrets(&bytes).map_err(|why| {
            wrong(why).hint("one key a line, in base64: `openssl rand -base64 32` makes one")
        })?;
        let mut keys = Vec::new();
        for secret in &secrets {
            let repeats = secret.first().is_some_and(|first| secret.iter().all(|byte| byte == first));
            if repeats {
                return Err(wrong("has a key that is the same byte throughout".to_owned())
                    .hint("`openssl rand -base64 32` makes a key that nobody can guess"));
            }
            let key = Key::of(secret).ok_or_else(|| wrong("has a key that cannot be used".to_owned()))?;
            if keys.iter().any(|other: &Arc<Key>| other.id == key.id) {
                return Err(wrong("has the same key twice".to_owned()));
            }
            keys.push(Arc::new(key));
        }
        let content = digest("ticket keys", keys.iter().map(|key| key.id.as_slice()));
        Ok(TicketKeys { keys, content })
    }
}

/// At least one; the error goes on after the name of the file.
fn secrets(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.bytes().all(|byte| byte != 0));
    let Some(text) = text else {
        return match NGINX.contains(&bytes.len()) {
            true => Ok(vec![bytes.to_vec()]),
            false => Err(format!("is neither text nor a key of 48 or 80 bytes: it has {}", bytes.len())),
        };
    };
    let mut secrets = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let number = index + 1;
        let secret = BASE64.decode(line.as_bytes()).map_err(|_| format!("is not base64 in line {number}"))?;
        if secret.len() < LEAST_SECRET {
            return Err(format!("has a key of {} bytes in line {number}; it needs 32 or more", secret.len()));
        }
        secrets.push(secret);
        if secrets.len() > MOST_KEYS {
            return Err(format!("has more than {MOST_KEYS} keys"));
        }
    }
    if secrets.is_empty() { Err("has no key".to_owned()) } else { Ok(secrets) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(bytes: &[u8]) -> Result<TicketKeys, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        TicketKeys::load(file.path()).map_err(|flaw| flaw.message)
    }

    fn line(byte: u8) -> String {
        let secret: Vec<u8> = (0..32).map(|index| byte.wrapping_add(index)).collect();
        BASE64.encode(&secret)
    }

    #[test]
    fn text_and_binary_files() {
        let both = load(format!("# now\n{}\n\n{} # before\n", line(1), line(2)).as_bytes()).unwrap();
        assert_eq!(both.keys.len(), 2);
        let first = load(line(1).as_bytes()).unwrap();
        assert_eq!(first.keys[0].id, both.keys[0].id);
        assert_ne!(first.content, both.content);
        for size in NGINX {
            let binary: Vec<u8> = (0..size).map(|index| 250u8.wrapping_add(index as u8)).collect();
            assert_eq!(load(&binary).unwrap().keys.len(), 1);
        }
    }

    #[test]
    fn weak_and_broken_files_are_refused() {
        for (bytes, why) in [
            (b"".as_slice(), "is empty"),
            (b"# nothing\n", "has no key"),
            (b"secret", "is not base64 in line 1"),
            (b"c2VjcmV0", "has a key of 6 bytes in line 1"),
            (&[0; 80], "same byte throughout"),
            (&[0xff; 47], "neither text nor a key of 48 or 80 bytes: it has 47"),
            (format!("{0}\n{0}", line(1)).as_bytes(), "the same key twice"),
            (BASE64.encode(&[0; 32]).as_bytes(), "same byte throughout"),
            ((0..17).map(|byte| line(byte) + "\n").collect::<String>().as_bytes(), "more than 16 keys"),
        ] {
            let told = load(bytes).unwrap_err();
            assert!(told.contains(why), "{why:?} is not in {told:?}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let keys = load(line(1).as_bytes()).unwrap();
        assert!(!format!("{:?}", keys.keys).contains("cipher"), "{keys:?}");
    }
}

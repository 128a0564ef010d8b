//! What a proxy speaks with its clients, and how each is told so. The rest of its configuration stays the same.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use testkit::{Authority, Leaf};

/// The side of a proxy that faces clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// HTTP/1.1 without TLS.
    Http1,
    /// TLS 1.2 and 1.3 with this key; HTTP/2 and HTTP/1.1, as the client likes (ALPN).
    Tls(Key),
    /// HTTP/2 without TLS, by prior knowledge.
    Http2,
    /// HTTP/1.1 without TLS, and JSON is compressed at this level.
    Coded(Codec, u8),
}

/// What compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Gzip,
    Brotli,
    Zstd,
}

impl Codec {
    /// Its name in `Content-Encoding`, and in our configuration.
    pub fn token(self) -> &'static str {
        match self {
            Codec::Gzip => "gzip",
            Codec::Brotli => "br",
            Codec::Zstd => "zstd",
        }
    }
}

/// The kind of the certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    EcdsaP256,
    Rsa2048,
}

impl Front {
    /// Lines for the listener, and a table for the certificate.
    pub fn palisade(self, certificates: &Certificates) -> (&'static str, String) {
        match self {
            Front::Http1 => ("", String::new()),
            Front::Http2 => ("http2 = true", String::new()),
            Front::Coded(codec, level) => {
                let codec = codec.token();
                ("", format!("[defaults]\ncompress = {{ levels = {{ {codec} = {level} }} }}"))
            }
            Front::Tls(key) => {
                let (chain, key) = (certificates.chain(key), certificates.key(key));
                let (chain, key) = (chain.display(), key.display());
                ("tls = true", format!("[certificates.bench]\ncertificate = \"{chain}\"\nkey = \"{key}\""))
            }
        }
    }

    /// Words for `listen`, and lines for the server.
    pub fn nginx(self, certificates: &Certificates) -> (&'static str, String) {
        match self {
            Front::Http1 => ("", String::new()),
            Front::Http2 => (" http2", String::new()),
            // Debian's nginx has gzip alone.
            Front::Coded(_, level) => {
                let lines = "        gzip on;\n        gzip_types application/json;\n        gzip_vary on;";
                ("", format!("{lines}\n        gzip_comp_level {level};"))
            }
            Front::Tls(key) => {
                let (chain, key) = (certificates.chain(key), certificates.key(key));
                let lines = format!(
                    "        ssl_protocols TLSv1.2 TLSv1.3;\n        ssl_session_cache off;\n        \
                     ssl_certificate {};\n        ssl_certificate_key {};",
                    chain.display(),
                    key.display()
                );
                (" ssl http2", lines)
            }
        }
    }

    /// Words for `bind`.
    pub fn haproxy(self, certificates: &Certificates) -> String {
        match self {
            Front::Http1 | Front::Coded(..) => String::new(),
            Front::Http2 => " proto h2".to_string(),
            Front::Tls(key) => {
                format!(" ssl crt {} alpn h2,http/1.1", certificates.chain_and_key(key).display())
            }
        }
    }
}

/// A folder with an authority of our own and a certificate of it for each kind of key, for 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes them anew, in `folder`.
    pub fn make(folder: &Path) -> Result<Certificates> {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let certificates = Certificates { folder: folder.to_path_buf() };
        let authority = Authority::new("Benchmark CA");
        let write = |path: PathBuf, text: &str| {
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
        };
        write(certificates.authority(), authority.pem())?;
        for key in [Key::EcdsaP256, Key::Rsa2048] {
            let leaf = Leaf::server(&["127.0.0.1"]);
            let certificate = authority.issue(if key == Key::Rsa2048 { leaf.rsa() } else { leaf });
            write(certificates.chain(key), &certificate.chain_pem)?;
            write(certificates.key(key), &certificate.key_pem)?;
            let both = [certificate.chain_pem.as_str(), &certificate.key_pem].concat();
            write(certificates.chain_and_key(key), &both)?;
        }
        Ok(certificates)
    }

    /// The certificate of the authority, for clients that verify.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    pub fn chain(&self, key: Key) -> PathBuf {
        self.folder.join(format!("{}.pem", key.file()))
    }

    pub fn key(&self, key: Key) -> PathBuf {
        self.folder.join(format!("{}.key", key.file()))
    }

    /// Both in one file, as HAProxy wants them.
    pub fn chain_and_key(&self, key: Key) -> PathBuf {
        self.folder.join(format!("{}.both.pem", key.file()))
    }
}

impl Key {
    fn file(self) -> &'static str {
        match self {
            Key::EcdsaP256 => "ecdsa",
            Key::Rsa2048 => "rsa",
        }
    }
}

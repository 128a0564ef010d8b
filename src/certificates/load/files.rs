//! Reading the files of certificates, keys and lists; what is wrong with one, and what would be right.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject, SectionKind};

/// Bytes; a list of revoked certificates may be long.
const MAX_SIZE: u64 = 32 << 20;

/// What is wrong with a file. Never shows anything that stands in it but a PEM heading: it may be a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    pub culprit: Culprit,
    pub message: String,
    pub hint: Option<String>,
}

/// Which file of several it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Culprit {
    Certificate,
    Key,
    Ocsp,
    Ca,
    ClientCa,
    ClientCrl,
    TicketKeys,
}

impl Culprit {
    /// The key that names the file.
    pub fn key(self) -> &'static str {
        match self {
            Culprit::Certificate => "certificate",
            Culprit::Key => "key",
            Culprit::Ocsp => "ocsp",
            Culprit::Ca => "ca",
            Culprit::ClientCa => "client_ca",
            Culprit::ClientCrl => "client_crl",
            Culprit::TicketKeys => "ticket_keys",
        }
    }
}

impl Flaw {
    pub(in crate::certificates) fn new(culprit: Culprit, message: impl Into<String>) -> Flaw {
        Flaw { culprit, message: message.into(), hint: None }
    }

    pub(in crate::certificates) fn hint(mut self, hint: impl Into<String>) -> Flaw {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Flaw {}

/// The bytes of a file, at least one.
pub(in crate::certificates) fn read(culprit: Culprit, path: &Path) -> Result<Vec<u8>, Flaw> {
    let cannot = |why: &str| Flaw::new(culprit, format!("cannot read `{}`: {why}", path.display()));
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => cannot("there is no such file"),
        ErrorKind::PermissionDenied => cannot("permission denied")
            .hint("the user that runs palisade must be able to read it; keep others out"),
        _ => cannot(&error.to_string()),
    };
    // Before it is opened: a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(cannot("it is not a file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(cannot("it is larger than 32 MiB"));
    }
    if bytes.trim_ascii().is_empty() {
        return Err(Flaw::new(culprit, format!("`{}` is empty", path.display())));
    }
    Ok(bytes)
}

/// A file of PEM sections.
pub(super) struct Pem {
    culprit: Culprit,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Pem {
    pub(super) fn read(culprit: Culprit, path: &Path) -> Result<Pem, Flaw> {
        Ok(Pem { culprit, path: path.to_path_buf(), bytes: read(culprit, path)? })
    }

    /// All sections that `T` is made of, in their order; at least one. `what` is how people call one.
    pub(super) fn all<T: PemObject>(&self, what: &str) -> Result<Vec<T>, Flaw> {
        let sections: Result<Vec<T>, pem::Error> = T::pem_slice_iter(&self.bytes).collect();
        let sections = sections.map_err(|error| self.broken(&error))?;
        if sections.is_empty() { Err(self.none(what)) } else { Ok(sections) }
    }

    /// The first of them.
    pub(super) fn first<T: PemObject>(&self, what: &str) -> Result<T, Flaw> {
        self.all(what)?.into_iter().next().ok_or_else(|| self.none(what))
    }

    fn broken(&self, error: &pem::Error) -> Flaw {
        let path = self.path.display();
        // The library's own texts quote the file.
        let why = match error {
            pem::Error::MissingSectionEnd { .. } => "a section has no END line",
            pem::Error::Base64Decode(_) => "a section is not base64",
            _ => "it is not PEM",
        };
        Flaw::new(self.culprit, format!("cannot read `{path}`: {why}"))
            .hint("was the file cut off when it was copied?")
    }

    /// There is no `what` in it: what is there instead, and what to do.
    fn none(&self, what: &str) -> Flaw {
        let path = self.path.display();
        if let Some(heading) = self.heading() {
            let message = format!("there is no {what} in `{path}`: it begins with `{heading}`");
            return Flaw::new(self.culprit, message).maybe(self.meant(&heading));
        }
        let flaw = Flaw::new(self.culprit, format!("there is no {what} in `{path}`: it is not PEM"));
        // A SEQUENCE of some length is how all of these begin in DER, and no text does.
        if self.bytes.first() != Some(&0x30) || std::str::from_utf8(&self.bytes).is_ok() {
            return flaw.hint("a PEM file has a line `-----BEGIN ...-----`");
        }
        let tool = match self.culprit {
            Culprit::Key => "openssl pkey -inform der",
            _ => "openssl x509 -inform der",
        };
        flaw.hint(format!("it looks like DER; convert it: `{tool} -in {path} -out {path}.pem`"))
    }

    /// The first BEGIN line.
    fn heading(&self) -> Option<String> {
        const LONGEST: usize = 60;
        let mut lines = self.bytes.split(|byte| matches!(byte, b'\n' | b'\r'));
        let line = lines.find(|line| line.starts_with(b"-----BEGIN "))?.trim_ascii_end();
        let sound = line.len() <= LONGEST && line.iter().all(|byte| (b' '..=b'~').contains(byte));
        sound.then(|| String::from_utf8_lossy(line).into_owned())
    }

    fn meant(&self, heading: &str) -> Option<String> {
        let path = self.path.display();
        if self.culprit == Culprit::Key && heading.contains("ENCRYPTED") {
            return Some(format!(
                "palisade cannot ask for its password; decrypt it: `openssl pkey -in {path} -out {path}.plain`"
            ));
        }
        let meant = match heading {
            _ if heading.contains("PRIVATE KEY") => Culprit::Key.key(),
            "-----BEGIN X509 CRL-----" => Culprit::ClientCrl.key(),
            "-----BEGIN CERTIFICATE-----" if self.culprit == Culprit::ClientCrl => Culprit::ClientCa.key(),
            "-----BEGIN CERTIFICATE-----" => Culprit::Certificate.key(),
            "-----BEGIN CERTIFICATE REQUEST-----" => {
                return Some("that is the request; the authority's answer to it is needed".to_owned());
            }
            _ => return None,
        };
        (meant != self.culprit.key()).then(|| format!("was it meant for `{meant}`?"))
    }

    /// A key with `Proc-Type: 4,ENCRYPTED` inside of a section with an ordinary heading.
    pub(super) fn is_encrypted(&self) -> bool {
        memchr::memmem::find(&self.bytes, b"Proc-Type: 4,ENCRYPTED").is_some()
    }

    pub(super) fn encrypted(&self) -> Flaw {
        let message = format!("the key in `{}` is encrypted", self.path.display());
        Flaw::new(self.culprit, message).maybe(self.meant("ENCRYPTED"))
    }

    /// DER sections of one kind, or the whole file when it is DER.
    pub(super) fn sections_or_der(&self, kind: SectionKind, what: &str) -> Result<Vec<Vec<u8>>, Flaw> {
        if self.bytes.first() == Some(&0x30) {
            return Ok(vec![self.bytes.clone()]);
        }
        let all: Result<Vec<(SectionKind, Vec<u8>)>, _> = PemObject::pem_slice_iter(&self.bytes).collect();
        let all = all.map_err(|error| self.broken(&error))?;
        let wanted: Vec<_> =
            all.into_iter().filter(|(found, _)| *found == kind).map(|(_, der)| der).collect();
        if wanted.is_empty() { Err(self.none(what)) } else { Ok(wanted) }
    }
}

impl Flaw {
    fn maybe(mut self, hint: Option<String>) -> Flaw {
        self.hint = hint;
        self
    }
}

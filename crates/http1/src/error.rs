//! What can be wrong with a message: each variant is a broken rule. `reason` is the short code that the
//! access log shows.

/// Why a head was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeadError {
    /// A line ends in LF alone (RFC 9112 section 2.2).
    BareLf,
    /// An empty line before the start line.
    LeadingEmptyLine,
    /// The start line or a field breaks the grammar: control bytes, spaces, obs-fold, no colon.
    BadSyntax,
    /// `HTTP/x.y` with another version than 1.0 and 1.1.
    BadVersion,
    TargetTooLong,
    FieldTooLong,
    HeadTooLong,
    TooManyFields,
    /// `#`, a control byte, a space, non-ASCII or a broken percent escape in the target.
    BadTarget,
    /// HTTP/1.1 without `Host` (RFC 9112 section 3.2).
    MissingHost,
    RepeatedHost,
    BadHost,
    /// The authority of an absolute target differs from `Host`.
    HostMismatch,
    /// Both `Content-Length` and `Transfer-Encoding` (RFC 9112 section 6.1).
    LengthAndCoding,
    RepeatedLength,
    BadLength,
    /// `Transfer-Encoding` that is not a clean list, or `chunked` where it may not be.
    BadCoding,
    /// A transfer coding other than `chunked`.
    UnknownCoding,
    /// `Transfer-Encoding` in HTTP/1.0.
    CodingInOldVersion,
    /// More than ten nominations in `Connection`, or one that is not a token.
    BadConnection,
    /// `Expect` with anything but `100-continue`.
    BadExpectation,
    /// `Upgrade` together with a body.
    UpgradeWithBody,
    /// A status outside of 100 to 599.
    BadStatus,
}

impl HeadError {
    pub fn reason(self) -> &'static str {
        match self {
            HeadError::BareLf => "bare_lf",
            HeadError::LeadingEmptyLine => "leading_empty_line",
            HeadError::BadSyntax => "bad_syntax",
            HeadError::BadVersion => "bad_version",
            HeadError::TargetTooLong => "target_too_long",
            HeadError::FieldTooLong => "field_too_long",
            HeadError::HeadTooLong => "head_too_long",
            HeadError::TooManyFields => "too_many_fields",
            HeadError::BadTarget => "bad_target",
            HeadError::MissingHost => "missing_host",
            HeadError::RepeatedHost => "repeated_host",
            HeadError::BadHost => "bad_host",
            HeadError::HostMismatch => "host_mismatch",
            HeadError::LengthAndCoding => "length_and_coding",
            HeadError::RepeatedLength => "repeated_length",
            HeadError::BadLength => "bad_length",
            HeadError::BadCoding => "bad_coding",
            HeadError::UnknownCoding => "unknown_coding",
            HeadError::CodingInOldVersion => "coding_in_old_version",
            HeadError::BadConnection => "bad_connection",
            HeadError::BadExpectation => "bad_expectation",
            HeadError::UpgradeWithBody => "upgrade_with_body",
            HeadError::BadStatus => "bad_status",
        }
    }
}

/// Why a chunked body was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyError {
    /// The size is not 1 to 16 hex digits, or is followed by what may not follow.
    BadChunkSize,
    /// A control byte or a bare LF in an extension, or more than 16 KiB of them.
    BadExtension,
    /// Chunk data that does not end in CRLF.
    BadChunkEnd,
    /// A trailer section that breaks the grammar or a limit.
    BadTrailers,
}

impl BodyError {
    pub fn reason(self) -> &'static str {
        match self {
            BodyError::BadChunkSize => "bad_chunk_size",
            BodyError::BadExtension => "bad_chunk_extension",
            BodyError::BadChunkEnd => "bad_chunk_end",
            BodyError::BadTrailers => "bad_trailers",
        }
    }
}

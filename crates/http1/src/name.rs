//! Field names that the proxy has an opinion on, as an enum: a look-up is a compare of one byte.

/// A field name; `Other` is every name that is not in this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Name {
    Other,
    Accept,
    AcceptEncoding,
    AcceptLanguage,
    Authorization,
    CacheControl,
    CdnLoop,
    Connection,
    ContentEncoding,
    ContentLength,
    ContentType,
    Cookie,
    Date,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    KeepAlive,
    Location,
    MaxForwards,
    Origin,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Referer,
    Server,
    SetCookie,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    UserAgent,
    Via,
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
    XRealIp,
    XRequestId,
    /// Of any name: a field that the proxy itself has set, and vouches for. It is never what a message was
    /// received with.
    Own,
}

impl Name {
    /// Finds the name in any case: a hash tells the one name that it can be, a compare whether it is.
    pub fn classify(name: &[u8]) -> Name {
        if name.len() < 2 {
            return Name::Other;
        }
        let candidate = BY_HASH[hash(name)];
        if is_spelled(name, candidate.lower()) { candidate } else { Name::Other }
    }

    /// The name in lower case; empty for `Other` and `Own`.
    pub fn lower(self) -> &'static [u8] {
        LOWER[self as usize].1.as_bytes()
    }

    /// Fields of one connection only, which are never passed on (RFC 9110 section 7.6.1); `Upgrade`
    /// among them, which the sender writes anew when it really upgrades.
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Name::Connection
                | Name::KeepAlive
                | Name::ProxyConnection
                | Name::ProxyAuthenticate
                | Name::ProxyAuthorization
                | Name::Te
                | Name::Trailer
                | Name::TransferEncoding
                | Name::Upgrade
                | Name::Http2Settings
        )
    }

    /// Fields that may not come in a trailer section: they frame, route, authenticate or identify
    /// (RFC 9110 section 6.5.1).
    pub fn is_forbidden_in_trailers(self) -> bool {
        self.is_hop_by_hop()
            || matches!(
                self,
                Name::Authorization
                    | Name::CacheControl
                    | Name::CdnLoop
                    | Name::ContentEncoding
                    | Name::ContentLength
                    | Name::ContentType
                    | Name::Cookie
                    | Name::Expect
                    | Name::Forwarded
                    | Name::Host
                    | Name::Location
                    | Name::MaxForwards
                    | Name::SetCookie
                    | Name::Via
                    | Name::XForwardedFor
                    | Name::XForwardedHost
                    | Name::XForwardedPort
                    | Name::XForwardedProto
                    | Name::XRealIp
                    | Name::XRequestId
            )
    }
}

/// True for a name that differs from `Content-Length` or `Transfer-Encoding` only in its marks, such as
/// `Content_Length` or `'Transfer-Encoding`: noise to us, and the framing to an origin that cleans names up.
/// True also for the two themselves, which the caller knows by [`Name`].
pub(crate) fn imitates_framing(name: &[u8]) -> bool {
    let is_spelled = |plain: &[u8]| {
        let letters = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
        name.len() > plain.len() && letters.map(u8::to_ascii_lowercase).eq(plain.iter().copied())
    };
    is_spelled(b"contentlength") || is_spelled(b"transferencoding")
}

/// True for a field that may come in a trailer section, by its name in any case: beside the names that
/// [`Name`] knows, those that change how the message is cached, selected or authenticated, and those that
/// say who the client is (RFC 9110 section 6.5.1).
pub fn is_allowed_in_trailers(name: &[u8]) -> bool {
    let starts_with = |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|start| same_name(start, prefix));
    !Name::classify(name).is_forbidden_in_trailers()
        && !imitates_framing(name)
        && !FORBIDDEN_PREFIXES.iter().any(|prefix| starts_with(prefix))
        && !FORBIDDEN_IN_TRAILERS.iter().any(|forbidden| same_name(name, forbidden))
}

const FORBIDDEN_PREFIXES: [&[u8]; 5] = [b"if-", b"proxy-", b"x-client-cert", b"x-forwarded-", b"x-original-"];

const FORBIDDEN_IN_TRAILERS: [&[u8]; 21] = [
    b"age",
    b"client-cert",
    b"client-cert-chain",
    b"client-ip",
    b"content-disposition",
    b"content-location",
    b"content-range",
    b"early-data",
    b"expires",
    b"pragma",
    b"range",
    b"retry-after",
    b"set-cookie2",
    b"strict-transport-security",
    b"true-client-ip",
    b"vary",
    b"warning",
    b"www-authenticate",
    b"x-client-ip",
    b"x-http-method-override",
    b"x-rewrite-url",
];

/// As [`same_name`], for a `lower` that is in [`LOWER`]: of its bytes just the letters have bit 6, and so
/// it tells itself where the case is to be ignored. For three names that saves 75 instructions.
fn is_spelled(name: &[u8], lower: &[u8]) -> bool {
    all_words(name, lower, |name, lower| {
        let lower = u64::from_ne_bytes(*lower);
        let letters = lower & (u64::MAX / 255 * 0x40);
        u64::from_ne_bytes(*name) | (letters >> 1) == lower
    })
}

/// Compares two names without regard to case; `lower` is in lower case.
pub fn same_name(name: &[u8], lower: &[u8]) -> bool {
    all_words(name, lower, |name, lower| lower_word(u64::from_ne_bytes(*name)) == u64::from_ne_bytes(*lower))
}

/// True when both are equally long and `same` holds for all words of eight bytes, of which the last may
/// overlap the one before; or for the one word of two overlapping halves.
#[inline]
fn all_words(name: &[u8], lower: &[u8], same: impl Fn(&[u8; 8], &[u8; 8]) -> bool) -> bool {
    if name.len() != lower.len() {
        return false;
    }
    if let (Some(name_end), Some(lower_end)) = (name.last_chunk(), lower.last_chunk()) {
        let mut words = name.as_chunks().0.iter().zip(lower.as_chunks().0);
        return same(name_end, lower_end) && words.all(|(name, lower)| same(name, lower));
    }
    match (halves(name), halves(lower)) {
        (Some(name), Some(lower)) => same(&name, &lower),
        _ => name.eq_ignore_ascii_case(lower),
    }
}

/// The first four and the last four bytes of four to eight.
fn halves(bytes: &[u8]) -> Option<[u8; 8]> {
    let (&[a, b, c, d], &[e, f, g, h]) = (bytes.first_chunk()?, bytes.last_chunk()?);
    Some([a, b, c, d, e, f, g, h])
}

/// Eight bytes with A-Z in lower case and every other byte as it is.
fn lower_word(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low_bits = word & (0x7f * EACH);
    // Bit 7 of a byte says: at least `A`, and above `Z`. No sum leaves its byte.
    let from_a = low_bits + (0x80 - b'A' as u64) * EACH;
    let above_z = low_bits + (0x7f - b'Z' as u64) * EACH;
    let is_upper = (from_a ^ above_z) & !word & (0x80 * EACH);
    word | (is_upper >> 2)
}

/// Different for each name in [`LOWER`], which is checked when the table is made. Found by trying out.
const fn hash(name: &[u8]) -> usize {
    let first = (name[0] | 0x20).wrapping_mul(14);
    let second_last = (name[name.len() - 2] | 0x20).wrapping_mul(13);
    let len = (name.len() as u8).wrapping_mul(3);
    (first.wrapping_add(second_last).wrapping_add(len) & 0x7f) as usize
}

static BY_HASH: [Name; 128] = {
    let mut table = [Name::Other; 128];
    let mut index = 1;
    while index < LOWER.len() - 1 {
        let (name, lower) = LOWER[index];
        assert!(name as usize == index, "the list has another order than the enum");
        assert!(is_plain(lower.as_bytes()), "a name with other marks than hyphens");
        let place = hash(lower.as_bytes());
        assert!(matches!(table[place], Name::Other), "two names with one hash");
        table[place] = name;
        index += 1;
    }
    table
};

/// Lower case letters, digits and hyphens: what [`is_spelled`] relies on.
const fn is_plain(name: &[u8]) -> bool {
    let mut index = 0;
    while index < name.len() {
        if !matches!(name[index], b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return false;
        }
        index += 1;
    }
    true
}

/// In the order of the enum.
const LOWER: [(Name, &str); 40] = [
    (Name::Other, ""),
    (Name::Accept, "accept"),
    (Name::AcceptEncoding, "accept-encoding"),
    (Name::AcceptLanguage, "accept-language"),
    (Name::Authorization, "authorization"),
    (Name::CacheControl, "cache-control"),
    (Name::CdnLoop, "cdn-loop"),
    (Name::Connection, "connection"),
    (Name::ContentEncoding, "content-encoding"),
    (Name::ContentLength, "content-length"),
    (Name::ContentType, "content-type"),
    (Name::Cookie, "cookie"),
    (Name::Date, "date"),
    (Name::Expect, "expect"),
    (Name::Forwarded, "forwarded"),
    (Name::Host, "host"),
    (Name::Http2Settings, "http2-settings"),
    (Name::KeepAlive, "keep-alive"),
    (Name::Location, "location"),
    (Name::MaxForwards, "max-forwards"),
    (Name::Origin, "origin"),
    (Name::ProxyAuthenticate, "proxy-authenticate"),
    (Name::ProxyAuthorization, "proxy-authorization"),
    (Name::ProxyConnection, "proxy-connection"),
    (Name::Referer, "referer"),
    (Name::Server, "server"),
    (Name::SetCookie, "set-cookie"),
    (Name::Te, "te"),
    (Name::Trailer, "trailer"),
    (Name::TransferEncoding, "transfer-encoding"),
    (Name::Upgrade, "upgrade"),
    (Name::UserAgent, "user-agent"),
    (Name::Via, "via"),
    (Name::XForwardedFor, "x-forwarded-for"),
    (Name::XForwardedHost, "x-forwarded-host"),
    (Name::XForwardedPort, "x-forwarded-port"),
    (Name::XForwardedProto, "x-forwarded-proto"),
    (Name::XRealIp, "x-real-ip"),
    (Name::XRequestId, "x-request-id"),
    (Name::Own, ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_nothing_beside_it() {
        for (known, lower) in &LOWER[1..LOWER.len() - 1] {
            assert_eq!(Name::classify(lower.as_bytes()), *known);
            assert_eq!(Name::classify(lower.to_ascii_uppercase().as_bytes()), *known);
            for at in 0..lower.len() {
                for byte in (0..=255u8).filter(|byte| byte.to_ascii_lowercase() != lower.as_bytes()[at]) {
                    let mut other = lower.as_bytes().to_vec();
                    other[at] = byte;
                    assert_ne!(Name::classify(&other), *known, "{lower} with {byte:#x} at {at}");
                }
            }
        }
    }

    #[test]
    fn words_are_lowered_like_their_bytes() {
        for byte in 0..=255u8 {
            let around = [b'A', byte, b'Z', 0xff, byte, 0, 0x80, byte];
            let lowered = lower_word(u64::from_ne_bytes(around)).to_ne_bytes();
            assert_eq!(lowered, around.map(|byte| byte.to_ascii_lowercase()));
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(Name::classify(b"HOST"), Name::Host);
        assert_eq!(Name::classify(b"x-Forwarded-fOR"), Name::XForwardedFor);
        assert_eq!(Name::classify(b"transfer-encoding"), Name::TransferEncoding);
        assert_eq!(Name::classify(b"transfer_encoding"), Name::Other);
        assert_eq!(Name::classify(b""), Name::Other);
    }
}

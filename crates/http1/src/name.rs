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
}

impl Name {
    /// Finds the name in any case.
    pub fn classify(name: &[u8]) -> Name {
        // Names of one length are few, so the length and a compare decide.
        let candidates: &[(&[u8], Name)] = match name.len() {
            2 => &[(b"te", Name::Te)],
            3 => &[(b"via", Name::Via)],
            4 => &[(b"host", Name::Host), (b"date", Name::Date)],
            6 => &[
                (b"accept", Name::Accept),
                (b"cookie", Name::Cookie),
                (b"server", Name::Server),
                (b"expect", Name::Expect),
                (b"origin", Name::Origin),
            ],
            7 => &[(b"upgrade", Name::Upgrade), (b"referer", Name::Referer), (b"trailer", Name::Trailer)],
            8 => &[(b"location", Name::Location), (b"cdn-loop", Name::CdnLoop)],
            9 => &[(b"x-real-ip", Name::XRealIp), (b"forwarded", Name::Forwarded)],
            10 => &[
                (b"connection", Name::Connection),
                (b"user-agent", Name::UserAgent),
                (b"keep-alive", Name::KeepAlive),
                (b"set-cookie", Name::SetCookie),
            ],
            12 => &[
                (b"content-type", Name::ContentType),
                (b"x-request-id", Name::XRequestId),
                (b"max-forwards", Name::MaxForwards),
            ],
            13 => &[(b"cache-control", Name::CacheControl), (b"authorization", Name::Authorization)],
            14 => &[(b"content-length", Name::ContentLength), (b"http2-settings", Name::Http2Settings)],
            15 => &[
                (b"accept-encoding", Name::AcceptEncoding),
                (b"accept-language", Name::AcceptLanguage),
                (b"x-forwarded-for", Name::XForwardedFor),
            ],
            16 => &[
                (b"content-encoding", Name::ContentEncoding),
                (b"proxy-connection", Name::ProxyConnection),
                (b"x-forwarded-host", Name::XForwardedHost),
                (b"x-forwarded-port", Name::XForwardedPort),
            ],
            17 => &[
                (b"transfer-encoding", Name::TransferEncoding),
                (b"x-forwarded-proto", Name::XForwardedProto),
            ],
            18 => &[(b"proxy-authenticate", Name::ProxyAuthenticate)],
            19 => &[(b"proxy-authorization", Name::ProxyAuthorization)],
            _ => return Name::Other,
        };
        for (candidate, known) in candidates {
            if same_name(name, candidate) {
                return *known;
            }
        }
        Name::Other
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

/// Compares two names without regard to case; `lower` is in lower case. Both have the same length when
/// this is hot, so the loop is short.
pub fn same_name(name: &[u8], lower: &[u8]) -> bool {
    name.len() == lower.len() && name.iter().zip(lower).all(|(a, b)| a.to_ascii_lowercase() == *b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(Name::classify(b"HOST"), Name::Host);
        assert_eq!(Name::classify(b"x-Forwarded-fOR"), Name::XForwardedFor);
        assert_eq!(Name::classify(b"transfer-encoding"), Name::TransferEncoding);
        assert_eq!(Name::classify(b"transfer_encoding"), Name::Other);
        assert_eq!(Name::classify(b""), Name::Other);
    }
}

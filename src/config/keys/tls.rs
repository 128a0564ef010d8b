//! The keys of `[certificates.NAME]`, and what listeners and routes have of TLS.

use super::{Absent, Key, Kind};

pub const CERTIFICATE: &[Key] = &[
    Key {
        name: "certificate",
        kind: Kind::Text("file name"),
        absent: Absent::Mistake,
        doc: "PEM, relative to the configuration file that names it: the server's own certificate first, then \
              those that lead to the authority. The names that it is shown for are its own: the alternative \
              names, or the common name when it has none.",
    },
    Key {
        name: "key",
        kind: Kind::Text("file name"),
        absent: Absent::Mistake,
        doc: "PEM: its private key (PKCS#8, PKCS#1 or SEC1), not encrypted.",
    },
    Key {
        name: "ocsp",
        kind: Kind::Text("file name"),
        absent: Absent::Off,
        doc: "DER: the authority's OCSP answer, shown with the certificate.",
    },
    Key {
        name: "default",
        kind: Kind::Boolean,
        absent: Absent::Means("false"),
        doc: "Shown to clients that name no host, or one without a certificate. Several may be it, such as an \
              RSA and an ECDSA one. Without any it is the first by name.",
    },
];

pub const LISTENER_TLS: Key = Key {
    name: "tls",
    kind: Kind::Either(&[Kind::Boolean, Kind::Table(TLS)]),
    absent: Absent::Means("false"),
    doc: "Clients speak TLS; the certificate is chosen by the name that they ask for (SNI). A table instead of \
          `true` sets more.",
};

pub const TLS: &[Key] = &[
    Key {
        name: "min_version",
        kind: Kind::OneOf(VERSIONS),
        absent: Absent::Means("\"1.2\""),
        doc: "Oldest version of TLS. Of 1.2 only suites with forward secrecy and authenticated encryption.",
    },
    Key {
        name: "unknown_sni",
        kind: Kind::OneOf(UNKNOWN_SNI),
        absent: Absent::Means("\"default\""),
        doc: "Clients that ask for a name without a certificate, or for none: the `default` certificate, or \
              `reject` for no handshake.",
    },
    Key {
        name: "ticket_keys",
        kind: Kind::Text("file name"),
        absent: Absent::Off,
        doc: "Keys of session tickets, the same on several machines, so that a client can go on at another one. \
              One a line, base64 of at least 32 random bytes (`openssl rand -base64 32`); the first encrypts, \
              all decrypt. nginx's files of 48 or 80 bytes are taken too. Whoever has them can read what was \
              recorded: replace them every day. Without it keys of the process's own, replaced every 12 hours.",
    },
    Key {
        name: "handshake_timeout",
        kind: Kind::Duration,
        absent: Absent::Means("\"10s\""),
        doc: "From the first byte of a handshake to its end.",
    },
    Key {
        name: "max_handshakes_per_client",
        kind: Kind::Integer { min: 0, max: 1_000_000 },
        absent: Absent::Means("100"),
        doc: "Handshakes under way at the same time from one address (from one /64 for IPv6); 0 is no limit.",
    },
    Key {
        name: "hsts",
        kind: Kind::Either(&[Kind::Duration, Kind::Table(HSTS)]),
        absent: Absent::Off,
        doc: "Browsers shall come with TLS only, for so long after each answer: `Strict-Transport-Security` in \
              every answer that has none. `\"8760h\"` is usual; begin with a short time, since it cannot be taken \
              back.",
    },
];

const HSTS: &[Key] = &[
    Key {
        name: "max_age",
        kind: Kind::Duration,
        absent: Absent::Mistake,
        doc: "How long a browser keeps to it.",
    },
    Key {
        name: "include_subdomains",
        kind: Kind::Boolean,
        absent: Absent::Means("false"),
        doc: "Every name below the host, too.",
    },
    Key {
        name: "preload",
        kind: Kind::Boolean,
        absent: Absent::Means("false"),
        doc: "The list that comes with browsers may have it.",
    },
];

pub const VERSIONS: &[&str] = &["1.2", "1.3"];
const UNKNOWN_SNI: &[&str] = &["default", "reject"];

pub const HTTP2: Key = Key {
    name: "http2",
    kind: Kind::Either(&[Kind::Boolean, Kind::OneOf(&["only"])]),
    absent: Absent::Off,
    doc: "HTTP/2 beside HTTP/1.1. With `tls` it is offered to clients (ALPN) unless this is `false`. Without, \
          `true` takes clients that begin with it (prior knowledge). `\"only\"` takes nothing else.",
};

pub const REDIRECT_TO_HTTPS: Key = Key {
    name: "redirect_to_https",
    kind: Kind::Boolean,
    absent: Absent::Means("false"),
    doc: "Every request here is answered with a redirect to the same address with `https`.",
};

pub const CLIENT_CA: Key = Key {
    name: "client_ca",
    kind: Kind::Text("file name"),
    absent: Absent::Off,
    doc: "PEM: the authorities whose client certificates are taken; there are no others. In a route it holds for \
          its hosts, instead of the listener's: such a route needs `host` or `hosts`, all routes of a host need \
          the same, and its hosts cannot be asked for by a connection that began with another name.",
};

pub const CLIENT_AUTH: Key = Key {
    name: "client_auth",
    kind: Kind::OneOf(&["required", "optional"]),
    absent: Absent::Off,
    doc: "Whether a client may have no certificate; `required` when there is a `client_ca`. One that it has must \
          be good in any case.",
};

pub const CLIENT_CRL: Key = Key {
    name: "client_crl",
    kind: Kind::Text("file name"),
    absent: Absent::Off,
    doc: "PEM or DER: lists of revoked certificates, of every authority in `client_ca` and between it and the \
          clients.",
};

pub const CLIENT_CRL_UNKNOWN: Key = Key {
    name: "client_crl_unknown",
    kind: Kind::OneOf(&["deny", "allow"]),
    absent: Absent::Off,
    doc: "A certificate whose authority has no list in `client_crl`, or one that is out of date; `deny` without \
          this key.",
};

pub const MIN_TLS_VERSION: Key = Key {
    name: "min_tls_version",
    kind: Kind::OneOf(VERSIONS),
    absent: Absent::Off,
    doc: "Oldest version of TLS for the route's hosts, where the listener allows older ones. Needs what \
          `client_ca` needs.",
};

pub const CLIENT_CERTIFICATE: Key = Key {
    name: "client_certificate",
    kind: Kind::Table(CLIENT_CERTIFICATE_KEYS),
    absent: Absent::Off,
    doc: "What the client's certificate must say; all of these, and of a list one. `*` stands for any characters \
          but a comma, alone for all. A client without a certificate does not take the route.",
};

const ONE_OR_MORE: Kind = Kind::Either(&[Kind::Text("text"), Kind::ListOf(&Kind::Text("text"))]);

pub const CLIENT_CERTIFICATE_KEYS: &[Key] = &[
    Key {
        name: "subject",
        kind: ONE_OR_MORE,
        absent: Absent::Off,
        doc: "Distinguished name as in RFC 4514, the last part first: `\"CN=alice,O=Example\"`.",
    },
    Key { name: "issuer", kind: ONE_OR_MORE, absent: Absent::Off, doc: "The same of the authority." },
    Key {
        name: "san",
        kind: ONE_OR_MORE,
        absent: Absent::Off,
        doc: "Any alternative name: DNS name, URI, mail or IP address.",
    },
    Key {
        name: "spiffe",
        kind: ONE_OR_MORE,
        absent: Absent::Off,
        doc: "SPIFFE ID, the only URI of the certificate: `\"spiffe://example.org/web/*\"`.",
    },
    Key {
        name: "fingerprint",
        kind: ONE_OR_MORE,
        absent: Absent::Off,
        doc: "SHA-256 of the certificate, hexadecimal, with or without colons; no `*`.",
    },
];

//! Why there is no good answer: who is to blame and what happened. `pages` turns it into a status.

use http1::{BodyError, HeadError};

/// Who could have done better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    Client,
    Upstream,
    Proxy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    // The client's.
    BadHead(HeadError),
    BadBody(BodyError),
    /// The body is not as long as its head said.
    BodyMismatch,
    /// The path has no canonical form; the code says why.
    BadPath(&'static str),
    /// The body has no length beforehand, and the servers must know it.
    LengthRequired,
    /// TRACE or CONNECT.
    MethodRefused,
    /// An `https` target on a connection without TLS (RFC 9110 section 7.4).
    WrongScheme,
    /// HTTP without TLS where TLS is spoken.
    PlainHttp,
    /// The TLS policy of the host is not the one of the connection (RFC 9110 section 15.5.20).
    Misdirected,
    HeadTimeout,
    /// The heads of the requests on one connection are too large together (HTTP/2).
    HeadsTooLarge,
    /// The body came too slowly.
    BodyTimeout,
    BodyTooLarge,
    /// The body of gRPC-Web text is not base64.
    BadBase64,
    /// The body has a coding, and what is to be changed in it cannot be seen.
    CodedBody,
    /// The body is to be changed and is no JSON for that; the code says why.
    BadJson(&'static str),
    /// The body is to be changed and is too large for that.
    JsonTooLarge,
    /// The client closed before its request was complete or its answer sent.
    ClientClosed,
    /// The client left while its answer was awaited.
    ClientGone,
    /// The client took no byte, or too few, for too long.
    ClientTooSlow,
    /// The request came through this proxy before.
    Loop,
    /// A call took longer than its client had said it would wait.
    CallDeadline,
    /// Neither side of a call without a deadline said anything for too long.
    CallSilent,

    // The upstream's.
    ConnectRefused,
    ConnectTimeout,
    ConnectFailed,
    /// The TLS handshake, or what it agreed on; the code says why.
    UpstreamTls(&'static str),
    /// The name of the endpoint does not resolve.
    NotResolved,
    SendTimeout,
    ReadTimeout,
    /// Closed or reset before the head of the answer was complete.
    ClosedBeforeAnswer,
    /// The stream was reset before the head of the answer; the connection goes on.
    StreamReset,
    BadAnswer(HeadError),
    BadAnswerBody(BodyError),
    /// Closed or reset in the middle of the answer's body.
    AnswerTruncated,
    TooManyInterim,
    /// 101 without having been asked, or with another protocol.
    BadUpgrade,
    /// HTTP/2 is wanted, and is not what the origin speaks.
    NoHttp2,
    /// The origin says that it has not looked at the request (HTTP/2).
    StreamRefused,
    /// It allows no stream at all (HTTP/2).
    NoStreams,
    /// A rule of HTTP/2 that the origin broke; the code says which.
    BadHttp2(&'static str),
    /// A rule of FastCGI that the server broke; the code says which.
    BadFastCgi(&'static str),
    /// It says that it has no room for the request, and has not looked at it (FastCGI).
    Overloaded,

    /// The body is not in the coding that its head names; the code says why.
    BadCoding(&'static str),
    /// The answer is to be changed or made a part of another, and cannot be: for this.
    UnfitAnswer(&'static str),
    /// The auth service gave no answer that says whether the request may go on; the code says why.
    AuthFailed(&'static str),
    /// There was nobody to ask whether the request may go on, for this.
    AuthUnavailable(&'static str),
    /// The auth service took too long.
    AuthTimeout,

    // The proxy's.
    NoRoute,
    /// No endpoint is usable.
    NoEndpoint,
    QueueFull,
    QueueTimeout,
    /// The circuit breaker is open.
    BreakerOpen,
    /// A limit of the circuit breaker is reached.
    BreakerFull(&'static str),
    /// No file descriptor for an upstream connection.
    OutOfFiles,
    /// No free port for an upstream connection.
    OutOfPorts,
    /// The quota for buffered request bodies, or the disk, is full.
    OutOfSpace,
    /// The encoder gave up in the middle of the body.
    CompressionFailed,
    /// The path leads to no script (FastCGI).
    NoScript,
    /// What is to be told of the request is more than a record holds (FastCGI).
    ParamsTooLong,
    /// There is no such file, or none that may be shown.
    NoFile,
    /// The system does not let this process read the file.
    FileForbidden,
    /// Files are only read.
    FileMethod,
    /// The file could not be read; the text says why.
    FileError(&'static str),
    /// The file became shorter while it was sent.
    FileShrank,
}

impl Failure {
    pub fn blame(self) -> Blame {
        use Failure::*;
        match self {
            BadHead(_) | BadBody(_) | BodyMismatch | BadPath(_) | MethodRefused | WrongScheme | PlainHttp
            | Misdirected | HeadTimeout | HeadsTooLarge | BodyTimeout | BodyTooLarge | ClientClosed
            | ClientGone | ClientTooSlow | Loop | BadBase64 | CodedBody | BadJson(_) | JsonTooLarge
            | CallDeadline | CallSilent | LengthRequired => Blame::Client,
            ConnectRefused | ConnectTimeout | ConnectFailed | UpstreamTls(_) | NotResolved | SendTimeout
            | ReadTimeout | ClosedBeforeAnswer | StreamReset | BadAnswer(_) | BadAnswerBody(_)
            | AnswerTruncated | TooManyInterim | BadUpgrade | NoHttp2 | StreamRefused | NoStreams
            | BadHttp2(_) | BadFastCgi(_) | Overloaded | BadCoding(_) | UnfitAnswer(_) | AuthFailed(_)
            | AuthUnavailable(_) | AuthTimeout => Blame::Upstream,
            NoRoute | NoEndpoint | QueueFull | QueueTimeout | BreakerOpen | BreakerFull(_) | OutOfFiles
            | OutOfPorts | OutOfSpace | CompressionFailed | NoScript | ParamsTooLong | NoFile
            | FileForbidden | FileMethod | FileError(_) | FileShrank => Blame::Proxy,
        }
    }

    /// True when an upstream had nobody to take the request, and so nothing of it was sent.
    pub fn is_nobody(self) -> bool {
        use Failure::*;
        matches!(
            self,
            NoEndpoint
                | NotResolved
                | BreakerOpen
                | ConnectRefused
                | ConnectFailed
                | ConnectTimeout
                | UpstreamTls(_)
                | NoHttp2
                | NoStreams
                | Overloaded
        )
    }

    /// True when a call of gRPC took too long, while both its ends were there.
    pub fn is_of_call(self) -> bool {
        matches!(self, Failure::CallDeadline | Failure::CallSilent)
    }

    /// The code that log and metrics show.
    pub fn reason(self) -> &'static str {
        use Failure::*;
        match self {
            BadHead(error) => error.reason(),
            BadBody(error) => error.reason(),
            BodyMismatch => "body_mismatch",
            BadPath(reason) => reason,
            LengthRequired => "length_required",
            MethodRefused => "method_refused",
            WrongScheme => "wrong_scheme",
            PlainHttp => "plain_http",
            Misdirected => "misdirected",
            HeadTimeout => "head_timeout",
            HeadsTooLarge => "heads_too_large",
            BodyTimeout => "body_timeout",
            BodyTooLarge => "body_too_large",
            BadBase64 => "bad_base64",
            CodedBody => "coded_body",
            BadJson(reason) => reason,
            JsonTooLarge => "json_too_large",
            ClientClosed => "client_closed",
            ClientGone => "client_gone",
            ClientTooSlow => "client_too_slow",
            Loop => "loop",
            CallDeadline => "call_deadline",
            CallSilent => "call_silent",
            ConnectRefused => "upstream_connect_refused",
            ConnectTimeout => "upstream_connect_timeout",
            ConnectFailed => "upstream_connect_failed",
            UpstreamTls(_) => "upstream_tls_failed",
            NotResolved => "upstream_not_resolved",
            SendTimeout => "upstream_send_timeout",
            ReadTimeout => "upstream_read_timeout",
            ClosedBeforeAnswer => "upstream_closed",
            StreamReset => "upstream_reset_stream",
            BadAnswer(_) => "upstream_bad_answer",
            BadAnswerBody(_) => "upstream_bad_body",
            AnswerTruncated => "upstream_truncated",
            TooManyInterim => "upstream_too_many_interim",
            BadUpgrade => "upstream_bad_upgrade",
            NoHttp2 => "upstream_no_http2",
            StreamRefused => "upstream_refused_stream",
            NoStreams => "upstream_no_streams",
            BadHttp2(_) => "upstream_bad_http2",
            BadFastCgi(_) => "upstream_bad_fastcgi",
            Overloaded => "upstream_overloaded",
            BadCoding(_) => "upstream_bad_coding",
            UnfitAnswer(_) => "upstream_unfit_answer",
            AuthFailed(_) => "auth_failed",
            AuthUnavailable(_) => "auth_unavailable",
            AuthTimeout => "auth_timeout",
            NoRoute => "no_route",
            NoEndpoint => "no_endpoint",
            QueueFull => "queue_full",
            QueueTimeout => "queue_timeout",
            BreakerOpen => "breaker_open",
            BreakerFull(_) => "breaker_full",
            OutOfFiles => "out_of_files",
            OutOfPorts => "out_of_ports",
            OutOfSpace => "out_of_space",
            CompressionFailed => "compression_failed",
            NoScript => "no_script",
            ParamsTooLong => "params_too_long",
            NoFile => "no_file",
            FileForbidden => "file_forbidden",
            FileMethod => "file_method",
            FileError(_) => "file_error",
            FileShrank => "file_shrank",
        }
    }

    /// What an operator may want to know beyond the code: the setting, or the broken rule.
    pub fn detail(self) -> Option<&'static str> {
        match self {
            Failure::BodyTooLarge => Some("max_body_size"),
            Failure::LengthRequired => Some("request_body"),
            Failure::NoScript => Some("fastcgi.split, fastcgi.index, fastcgi.front"),
            Failure::JsonTooLarge => Some("request_json.max_size"),
            Failure::UnfitAnswer(why) | Failure::AuthFailed(why) | Failure::AuthUnavailable(why) => Some(why),
            Failure::AuthTimeout => Some("forward_auth.timeout"),
            Failure::BadAnswer(error) => Some(error.reason()),
            Failure::BadAnswerBody(error) => Some(error.reason()),
            Failure::HeadTimeout => Some("head_timeout"),
            Failure::BodyTimeout | Failure::ClientTooSlow => Some("min_rate, send_timeout"),
            Failure::CallDeadline => Some("grpc-timeout"),
            Failure::CallSilent => Some("tunnel_idle_timeout"),
            Failure::ConnectTimeout => Some("timeouts.connect"),
            Failure::SendTimeout => Some("timeouts.send"),
            Failure::UpstreamTls(why)
            | Failure::BadHttp2(why)
            | Failure::BadFastCgi(why)
            | Failure::BadCoding(why)
            | Failure::FileError(why) => Some(why),
            Failure::ReadTimeout => Some("timeouts.read"),
            Failure::QueueFull => Some("pool.max_queue"),
            Failure::QueueTimeout => Some("pool.queue_timeout, pool.max_connections"),
            Failure::OutOfPorts => Some("net.ipv4.ip_local_port_range"),
            Failure::BreakerOpen => Some("breaker.error_rate"),
            Failure::BreakerFull(setting) => Some(setting),
            Failure::OutOfSpace => Some("body_memory, body_disk"),
            _ => None,
        }
    }
}

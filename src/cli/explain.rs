//! `palisade explain`: which listener, route and upstream would serve a request, and why.

mod balances;
mod filters;

use std::cell::Cell;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use http1::{Method, Name, RequestHead};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::check::print_report;
use super::config_path;
use crate::config::{self, Config};
use crate::files::{Explained, Files, FilesOptions};
use crate::filter::{Chain, Decision, chain};
use crate::listen::ListenAddress;
use crate::merge::{MemberOptions, MergeOptions};
use crate::message::error_pages::ErrorPages;
use crate::message::path::{self, Canonical};
use crate::message::{
    Body, Client, ClientCertificate, Exchange, Interim, PolicyMark, Protocol, Recycled, Request, RequestId,
    Secured, Values, pages,
};
use crate::route::{Asker, RouteOptions, Table, TargetOptions};
use crate::upstream::BodyMode;
use crate::upstream::fastcgi::Application;
use crate::wire::{Peer, Watchdog};

/// Tell which route and upstream would serve a request, and why
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Default: palisade.toml, then /etc/palisade/palisade.toml
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The URL, with a method in front unless that is GET: `POST http://host/path?query`
    #[arg(required = true, num_args = 1..=2, value_name = "[METHOD] URL")]
    request: Vec<String>,
    /// A header field of the request, as curl takes it
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The client's address
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    from: IpAddr,
    /// The client's certificate, PEM; taken as verified
    #[arg(long, value_name = "FILE")]
    client_certificate: Option<PathBuf>,
}

pub fn run(args: &Args) -> ExitCode {
    let path = config_path(args.config.as_deref());
    let config = match config::load(&path) {
        Ok(loaded) => loaded.config,
        Err(report) => {
            print_report(&report);
            return ExitCode::FAILURE;
        }
    };
    match explain(&config, args) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("palisade explain: {error}");
            ExitCode::FAILURE
        }
    }
}

fn explain(config: &Config, args: &Args) -> Result<String, String> {
    let (mut head, is_https) = read_request(&args.request, &args.headers)?;
    let mut text = Text::default();
    text.line("request", &format!("{} {}", lossy(head.method_name()), lossy(head.target())));
    listeners(&mut text, config);
    let peer = Client::new(Peer::Tcp((args.from, 0).into()));
    let client = peer.behind(&config.server.trusted_proxies, &head.fields);
    let trust = if client.trusted {
        "a trusted proxy, its X-Forwarded-* are believed"
    } else {
        "not a trusted proxy"
    };
    text.line("peer", &format!("{} ({trust})", args.from));
    text.line("client", &client.address.to_string());
    let mut canonical = Vec::new();
    match path::canonicalise(head.path(), &mut canonical) {
        Ok(Canonical::Same) => text.line("path", &lossy(head.path())),
        Ok(Canonical::Changed) => {
            text.line("path", &format!("{} (canonical form of {})", lossy(&canonical), lossy(head.path())));
            head.set_path(&canonical);
        }
        Err(error) => {
            text.line("answer", &format!("400, since the path has no canonical form: {}", error.reason()));
            return Ok(text.0);
        }
    }
    if head.method == Method::Trace {
        text.line("answer", "405, TRACE is never served");
        return Ok(text.0);
    }
    let certificate = args.client_certificate.as_deref().map(read_certificate).transpose()?;
    if let Some(certificate) = &certificate {
        text.line("shows", &certificate.subject);
    }
    let asker = Asker { address: client.address, certificate: certificate.as_ref() };
    let explanation = Table::build(&config.routes).explain(&head, asker);
    text.0.push('\n');
    text.0.push_str(explanation.to_string().trim_end());
    text.0.push_str("\n\n");
    let host = head.host().to_vec();
    match explanation.winner.and_then(|index| config.routes.get(index)) {
        Some(route) => {
            let secured = is_https.then(|| Rc::new(secured(certificate)));
            let asked = AskedBy { client: &client, secured: secured.as_ref() };
            serve(&mut text, config, route, asked, head);
        }
        None => text.line("answer", "404, no route covers the request"),
    }
    pages(&mut text, config, &host);
    Ok(text.0)
}

/// Who sends the request, and whether through TLS.
#[derive(Clone, Copy)]
struct AskedBy<'c> {
    client: &'c Client,
    secured: Option<&'c Rc<Secured>>,
}

/// What a connection with TLS would be like.
fn secured(certificate: Option<ClientCertificate>) -> Secured {
    Secured {
        certificate: certificate.map(Rc::new),
        version: "TLSv1.3",
        cipher: "TLS13_AES_256_GCM_SHA384",
        policy: None,
        effective: PolicyMark([0; 32]),
    }
}

/// A request and who sends it.
#[derive(Clone, Copy)]
struct Asked<'r> {
    head: &'r RequestHead,
    client: IpAddr,
}

/// Lines with a name in front.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, name: &str, value: &str) {
        self.0.push_str(&format!("{name:<10} {value}\n"));
    }
}

/// What a request for this host may get in place of the proxy's own pages.
fn pages(text: &mut Text, config: &Config, host: &[u8]) {
    let all = ErrorPages::new(config.error_pages.clone());
    for page in all.of_host(host) {
        let whose = if page.intercept { ", also in place of what upstreams answer" } else { "" };
        let status = page.status.map_or(String::new(), |status| format!(", answered as {status}"));
        text.line("page", &format!("{} for {}{status}{whose}", page.name, page.statuses));
    }
}

fn listeners(text: &mut Text, config: &Config) {
    for listener in &config.listeners {
        let address = match &listener.address {
            ListenAddress::Tcp(address) => address.to_string(),
            ListenAddress::Unix(path) => format!("unix:{}", path.display()),
        };
        text.line("listener", &format!("{} on {address}", listener.name));
    }
}

fn read_certificate(path: &Path) -> Result<ClientCertificate, String> {
    let wrong = |why: String| format!("{}: {why}", path.display());
    let der = CertificateDer::from_pem_file(path).map_err(|error| wrong(error.to_string()))?;
    ClientCertificate::parse(&der).map_err(|_| wrong("it is no certificate that can be read".to_owned()))
}

/// Parses the request as the proxy would, from the head that a client would send; with whether it comes by https.
fn read_request(request: &[String], headers: &[String]) -> Result<(RequestHead, bool), String> {
    let (method, url) = match request {
        [url] => ("GET", url),
        [method, url] => (method.as_str(), url),
        _ => return Err("give a method and a URL".to_owned()),
    };
    let rest = match url.split_once("://") {
        Some(("http" | "https", rest)) => rest,
        Some((scheme, _)) => return Err(format!("{scheme:?} is not served; listeners speak http and https")),
        None if !url.contains(['.', ':', '/']) && url.chars().all(|c| c.is_ascii_uppercase()) => {
            return Err(format!("{url:?} is a method; the URL is missing"));
        }
        None => url.as_str(),
    };
    let cut = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(cut);
    if host.is_empty() {
        return Err(format!("{url:?} names no host; write it as http://host/path"));
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    let mut bytes = format!("{method} {slash}{target} HTTP/1.1\r\n");
    if !headers.iter().any(|header| header.to_ascii_lowercase().starts_with("host:")) {
        bytes.push_str(&format!("Host: {host}\r\n"));
    }
    for header in headers {
        bytes.push_str(&format!("{}\r\n", header.trim_end()));
    }
    bytes.push_str("\r\n");
    let mut head = RequestHead::default();
    head.parse(bytes.as_bytes())
        .map_err(|error| format!("the proxy would refuse this request: {}", error.reason()))?;
    Ok((head, url.starts_with("https://")))
}

/// What becomes of a request that takes this route.
fn serve(text: &mut Text, config: &Config, route: &RouteOptions, asked: AskedBy<'_>, head: RequestHead) {
    let (interim, watchdog, is_call) = (Interim::default(), Watchdog::new(), Cell::new(false));
    let mut recycled = Recycled::<RequestHead>::take();
    *recycled = head;
    let mut request = Request {
        head: recycled,
        body: Body::Empty,
        id: RequestId::make(),
        upgrade: None,
        interim: &interim,
        watchdog: &watchdog,
        is_call: &is_call,
        secured: asked.secured,
    };
    let exchange =
        Exchange { client: asked.client, protocol: Protocol::Http1, route: &route.name, endpoint: None };
    filters::told(text, &route.filters, &request.head);
    let Chain { open, guarded } = chain(&route.filters, config.server.compression);
    for filter in open.into_iter().chain(guarded) {
        match filter.on_request(exchange, &mut request) {
            Decision::Pass | Decision::PassThen(_) => {}
            Decision::Answer(response) => {
                let to = response.head.fields.get(Name::Location);
                let to = to.map_or(String::new(), |to| format!(" to {}", lossy(to)));
                return text.line("answer", &format!("{}{to}, by a filter", response.head.status));
            }
            Decision::Fail(failure) => {
                let told = format!("{}, since {}", pages::status(failure), failure.reason());
                return text.line("answer", &told);
            }
        }
    }
    target(text, config, route, exchange, &request);
}

fn target(
    text: &mut Text,
    config: &Config,
    route: &RouteOptions,
    exchange: Exchange<'_>,
    request: &Request<'_>,
) {
    let (head, client) = (&*request.head, exchange.client.address);
    match &route.target {
        TargetOptions::Upstream(name) => upstream(text, config, route, Asked { head, client }, name),
        TargetOptions::Split(split) => {
            text.line("split", &balances::split_told(split));
            if let Some(name) = balances::split_pick(split, head, client) {
                upstream(text, config, route, Asked { head, client }, name);
            }
        }
        TargetOptions::Merge(MergeOptions { members, timeout }) => {
            for member in members {
                let MemberOptions { name, upstream, path, optional } = member;
                let or = if *optional { ", or null" } else { "" };
                text.line("merge", &format!("{name} is GET {path} of {upstream}{or}"));
            }
            text.line("merge", &format!("all within {timeout:?}"));
        }
        TargetOptions::Redirect(redirect) => {
            let mut location = Vec::new();
            redirect.write_location(&Values::of_request(exchange, request), &mut location);
            text.line("answer", &format!("{} to {}", redirect.status, lossy(&location)));
        }
        TargetOptions::Files(options) => files(text, options, route, head),
        TargetOptions::Fixed(fixed) => {
            text.line(
                "answer",
                &format!(
                    "{} with {} bytes of {}",
                    fixed.status,
                    fixed.body.bytes().len(),
                    fixed.content_type
                ),
            );
        }
    }
}

fn files(text: &mut Text, options: &FilesOptions, route: &RouteOptions, head: &RequestHead) {
    text.line("files", &options.root.display().to_string());
    text.line("path", &lossy(head.path()));
    let strips = route.filters.rewrite.strip_prefix.is_some();
    let answer = match head.method {
        Method::Options => "204, with the methods that are served".to_owned(),
        Method::Get | Method::Head => answer_of_files(&Files::new(options.clone(), strips).explain(head)),
        _ => "405, files are only read".to_owned(),
    };
    text.line("answer", &answer);
}

fn answer_of_files(explained: &Explained) -> String {
    match explained {
        Explained::File { name, size, media_type, codings } => {
            let forms =
                if codings.is_empty() { String::new() } else { format!(", also {}", codings.join(", ")) };
            format!("200 with {name}: {size} bytes of {media_type}{forms}")
        }
        Explained::Redirect => "308 to the same path with a slash: it is a folder".to_owned(),
        Explained::Listing => "200 with a list of the folder".to_owned(),
        Explained::Fallback(path) => format!("200 with {path} for whoever takes text/html, 404 for others"),
        Explained::Failure(failure) => format!("{}, {}", pages::status(*failure), failure.reason()),
    }
}

fn upstream(text: &mut Text, config: &Config, route: &RouteOptions, request: Asked<'_>, name: &str) {
    let Asked { head, client } = request;
    let Some(upstream) = config.upstreams.iter().find(|upstream| upstream.name == name) else { return };
    text.line("upstream", &format!("{name}, {}", balances::told(upstream)));
    balances::pick(text, upstream, head, client);
    let query = head.query().map_or(String::new(), |query| format!("?{}", lossy(query)));
    match &upstream.application {
        None => {
            let (method, path) = (lossy(head.method_name()), lossy(head.path()));
            text.line("sends", &format!("{method} {path}{query} HTTP/1.1"));
        }
        Some(application) => application_told(text, application, head, &query),
    }
    let authority = lossy(head.authority());
    text.line("host", route.upstream_host.as_deref().unwrap_or(&authority));
    let address = lossy(head.fields.get(Name::XForwardedFor).unwrap_or_default());
    if !address.is_empty() && config.server.trusted_proxies.is_empty() {
        text.line("note", "X-Forwarded-For is replaced: nobody is in trusted_proxies");
    }
    let timeouts = route.timeouts;
    text.line(
        "timeouts",
        &format!("connect {:?}, send {:?}, read {:?}", timeouts.connect, timeouts.send, timeouts.read),
    );
    let mode = match route.request_body {
        BodyMode::Buffer => "read whole before the upstream is asked",
        BodyMode::Stream => "passed on as it arrives",
    };
    text.line("body", &format!("{mode}, {}", most(route.max_body_size)));
    balances::beside(text, route);
}

/// What a FastCGI server gets to know of the path.
fn application_told(text: &mut Text, application: &Application, head: &RequestHead, query: &str) {
    let uri = format!("{}{query}", lossy(head.path()));
    text.line("sends", &format!("{} {uri} over FastCGI", lossy(head.method_name())));
    let Some(script) = application.script(head.path()) else {
        let endings = application.split.join(" or ");
        return text
            .line("answer", &format!("404: no part of the path ends in {endings}, and there is no `front`"));
    };
    text.line("SCRIPT_FILENAME", &lossy(&script.file(&application.root)));
    text.line("SCRIPT_NAME", &lossy(&script.name));
    text.line(
        "PATH_INFO",
        if script.info.is_empty() { "(none)".to_owned() } else { lossy(&script.info) }.as_str(),
    );
}

/// A limit, for people.
fn most(bytes: u64) -> String {
    if bytes == u64::MAX {
        return "of any size".to_owned();
    }
    format!("at most {}", size(bytes))
}

/// A number of bytes in the largest unit in which it is whole.
fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1u64 << shift));
    whole.map_or(format!("{bytes} bytes"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

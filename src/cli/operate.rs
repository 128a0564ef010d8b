//! `palisade reload`, `status`, `stop` and `endpoint`: ask a running proxy, over its admin socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::check::print_report;
use super::config_path;
use crate::config;

/// Longest answer that is read.
const MAX_ANSWER: u64 = 1 << 20;

/// Where the running proxy is
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its configuration, which names the admin socket; default: palisade.toml, then
    /// /etc/palisade/palisade.toml
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The admin socket itself
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    Reload,
    Status,
    Stop,
    Endpoint { upstream: String, endpoint: String, order: Order },
}

/// Take one endpoint of the running proxy out, bring it back, or change its share, until the next reload
#[derive(Debug, clap::Args)]
pub struct EndpointArgs {
    #[command(subcommand)]
    order: OrderArgs,
}

#[derive(Debug, clap::Subcommand)]
enum OrderArgs {
    /// No new requests; those in flight finish
    Drain(Which),
    /// No requests at all; those in flight finish
    Disable(Which),
    /// Takes requests again
    Enable(Which),
    /// Another share of the requests
    Weight {
        #[command(flatten)]
        which: Which,
        /// 1 to 65535
        #[arg(value_parser = clap::value_parser!(u16).range(1..))]
        weight: u16,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Name of the upstream
    upstream: String,
    /// Address of the endpoint, as `palisade status` shows it
    endpoint: String,
    #[command(flatten)]
    proxy: Args,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Drain,
    Disable,
    Enable,
    Weight(u16),
}

pub fn endpoint(args: EndpointArgs) -> ExitCode {
    let (which, order) = match args.order {
        OrderArgs::Drain(which) => (which, Order::Drain),
        OrderArgs::Disable(which) => (which, Order::Disable),
        OrderArgs::Enable(which) => (which, Order::Enable),
        OrderArgs::Weight { which, weight } => (which, Order::Weight(weight)),
    };
    let Which { upstream, endpoint, proxy } = which;
    if [&upstream, &endpoint].iter().any(|text| text.contains(|c: char| c == '&' || !c.is_ascii_graphic())) {
        eprintln!("palisade: names and addresses have no spaces, `&` or control characters");
        return ExitCode::FAILURE;
    }
    run(&Question::Endpoint { upstream, endpoint, order }, &proxy)
}

pub fn run(question: &Question, args: &Args) -> ExitCode {
    let socket = match socket(args) {
        Ok(socket) => socket,
        Err(code) => return code,
    };
    match ask(question, &socket) {
        Ok((status, text)) if status < 300 => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok((_, text)) => {
            eprint!("{text}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("palisade: nobody answers on {}: {error}", socket.display());
            ExitCode::FAILURE
        }
    }
}

fn socket(args: &Args) -> Result<PathBuf, ExitCode> {
    if let Some(socket) = &args.socket {
        return Ok(socket.clone());
    }
    let path = config_path(args.config.as_deref());
    // The file may be wrong, which the running proxy should hear of, and count. Only when the file does not
    // even tell the socket it is judged here.
    if let Some(socket) = config::admin_socket(&path) {
        return Ok(socket);
    }
    match config::load(&path) {
        Err(report) => {
            print_report(&report);
            eprintln!("palisade: the running proxy was not asked, since this file does not tell its socket");
        }
        Ok(_) => eprintln!(
            "palisade: {} names no admin socket\nhelp: add `[admin]` with `socket = \"/run/palisade.sock\"`, or \
             send the process a signal: SIGHUP reloads, SIGTERM stops",
            path.display()
        ),
    }
    Err(ExitCode::FAILURE)
}

/// One small request over the socket; the answer's status and body.
fn ask(question: &Question, socket: &Path) -> io::Result<(u16, String)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let start = match question {
        Question::Reload => "POST /reload".to_owned(),
        Question::Status => "GET /status".to_owned(),
        Question::Stop => "POST /stop".to_owned(),
        Question::Endpoint { upstream, endpoint, order } => {
            let order = match order {
                Order::Drain => "drain".to_owned(),
                Order::Disable => "disable".to_owned(),
                Order::Enable => "enable".to_owned(),
                Order::Weight(weight) => format!("weight&weight={weight}"),
            };
            format!("POST /endpoints?upstream={upstream}&endpoint={endpoint}&order={order}")
        }
    };
    write!(stream, "{start} HTTP/1.1\r\nHost: palisade\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "this is no answer of palisade");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
    Ok((status, body.to_owned()))
}

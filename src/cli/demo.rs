//! `palisade demo`: two built-in origins, one that says who may see them, and a proxy in front, with things to try.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use crate::control::{self, Start};

/// Start two small origins and a proxy in front of them, and print what to try
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the proxy listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
}

pub fn run(args: &Args) -> ExitCode {
    let origins = match start_origins() {
        Ok(origins) => origins,
        Err(error) => {
            eprintln!("palisade demo: cannot start an origin: {error}");
            return ExitCode::FAILURE;
        }
    };
    let folder = match tempfile::Builder::new().prefix("palisade-demo-").tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("palisade demo: cannot make a folder: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = write_files(&folder.path().join("www")) {
        eprintln!("palisade demo: cannot write files: {error}");
        return ExitCode::FAILURE;
    }
    // A real file, so that the demo can be edited and reloaded while it runs.
    let file = folder.path().join("demo.toml");
    if let Err(error) =
        std::fs::write(&file, configuration(&args.listen, origins, &folder.path().join("admin.sock")))
    {
        eprintln!("palisade demo: cannot write {}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    let shown = file.clone();
    let code =
        control::run(Start::File(file), move |addresses| print_what_to_try(addresses, origins[0], &shown));
    drop(folder);
    code
}

fn start_origins() -> io::Result<[SocketAddr; 3]> {
    Ok([Origin::start("red")?, Origin::start("blue")?, Origin::start("door")?])
}

/// Something to look around in.
fn write_files(www: &std::path::Path) -> io::Result<()> {
    std::fs::create_dir_all(www.join("notes"))?;
    std::fs::write(www.join("hello.txt"), "Hello from a file.\n")?;
    std::fs::write(www.join("notes/index.html"), "<!doctype html><title>Notes</title><p>An index.</p>\n")?;
    std::fs::write(www.join(".hidden"), "Nobody gets this.\n")
}

fn configuration(listen: &str, [red, blue, door]: [SocketAddr; 3], socket: &std::path::Path) -> String {
    format!(
        r#"# The configuration of `palisade demo`: change it, then try `palisade reload`.
[listeners.http]
address = "{listen}"
http2 = true

[upstreams.colours]
endpoints = ["{red}", {{ address = "{blue}", weight = 2 }}]
health = {{ path = "/health", interval = "2s" }}

[upstreams.door]
endpoints = ["{door}"]

[defaults]
security_headers = true
compress = {{ min_size = "200" }}

[routes.home]
upstream = "colours"
response_headers = {{ set = {{ X-Served-By = "{{upstream}} for {{client_ip}}" }} }}
redirects = [{{ regex = "^/blog/([^/]+)$", to = "/posts/$1{{query}}" }}]

[routes.api]
path = "/api"
strip_prefix = true
upstream = "colours"
timeouts = {{ read = "2s" }}

[routes.members]
path = "/members"
upstream = "colours"
forward_auth = {{ upstream = "door", path = "/verify", identity = ["X-Auth-User"], require_identity = ["X-Auth-User"] }}

[routes.stock]
path = "/stock"
upstream = "colours"
response_json = {{ edits = [{{ remove = "/supplier" }}, {{ set = "/asked_by", value = "{{client_ip}}" }}] }}

[routes.shelf]
path = "/shelf"
merge = {{ stock = {{ upstream = "colours", path = "/stock" }}, price = {{ upstream = "colours", path = "/price" }} }}

[routes.translated]
path = "/translated"
upstream = "colours"
replace = {{ rules = [{{ from = "Hello from", to = "Greetings by way of {{host}} from" }}], types = ["text/plain"] }}

[error_pages.late]
statuses = ["504"]
body = "<!doctype html><title>Late</title><h1>{{{{status}}}}: it took too long</h1><p>{{{{message}}}}</p>"

[routes.old]
path = "/old"
redirect = {{ to = "/api{{query}}", status = 308 }}

[routes.private]
path = "/private"
respond = {{ status = 403, body = "This is not for you.\n" }}

[routes.files]
path = "/files"
strip_prefix = true
files = {{ root = "www", browse = true }}

[routes.upload]
path = "/upload"
methods = ["POST", "PUT"]
upstream = "colours"
max_body_size = "1MiB"

[admin]
address = "127.0.0.1:0"
socket = "{socket}"

[log]
access = "stdout"
"#,
        socket = socket.display()
    )
}

fn print_what_to_try(addresses: &[(String, String)], red: SocketAddr, file: &std::path::Path) {
    let of = |name: &str| {
        let found = addresses.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, address)| address.as_str())
    };
    let (proxy, admin) = (of("http"), of("admin"));
    println!(
        "\nPalisade stands in front of two origins, red and blue. Try:\n\n\
         \x20 curl -i http://{proxy}/                     one of two origins answers, blue twice as often\n\
         \x20 curl -i --path-as-is http://{proxy}/api/./a/../colour    the origin sees the canonical path, without /api\n\
         \x20 curl -i --http2-prior-knowledge http://{proxy}/    the same over HTTP/2\n\
         \x20 curl -N http://{proxy}/events               events arrive one by one, nothing is held back\n\
         \x20 curl -i http://{proxy}/api/slow -H 'Accept: text/html'   a 504 after two seconds, on a page of its own\n\
         \x20 curl -i http://{proxy}/blog/first?x=1       sent on to /posts/first by a rule\n\
         \x20 curl -i http://{proxy}/private              answered by the proxy itself\n\
         \x20 curl -i http://{proxy}/members              401: another server is asked first, and says no\n\
         \x20 curl -i -u alice:open http://{proxy}/members    now it says yes, and the origin is told who it is\n\
         \x20 curl -s http://{proxy}/stock                JSON of the origin, without the supplier\n\
         \x20 curl -s http://{proxy}/shelf                one answer made of two\n\
         \x20 curl -s http://{proxy}/translated           a word of the answer replaced as it passes\n\
         \x20 curl -i --compressed http://{proxy}/api     compressed on its way; /events too, event by event\n\
         \x20 curl -i http://{proxy}/files/hello.txt -H 'Range: bytes=0-4'   a part of a file; /files/ lists the folder\n\
         \x20 curl -s http://{admin}/metrics              what it counted\n\n\
         \x20 palisade explain -c {file} http://{proxy}/old?x=1\n\
         \x20 palisade status -c {file}      who takes requests, and why not\n\
         \x20 palisade endpoint drain colours {red} -c {file}      red answers no more, until a reload\n\
         \x20 palisade reload -c {file}      after a change of that file\n\n\
         Each request shows below. Ctrl-C ends it.\n",
        file = file.display()
    );
}

/// A small server: a thread per connection is plenty for a demo.
struct Origin;

impl Origin {
    fn start(colour: &'static str) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::Builder::new().name(format!("origin-{colour}")).spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that is gone is no concern of anybody's.
                let _ = std::thread::Builder::new().spawn(move || serve(&stream, colour));
            }
        })?;
        Ok(address)
    }
}

fn serve(stream: &TcpStream, colour: &str) -> io::Result<()> {
    // Answers are written in pieces: each goes out at once.
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let Some(request) = read_request(&mut reader)? else { return Ok(()) };
        answer(stream, colour, &request)?;
    }
}

struct Request {
    path: String,
    head: String,
    body: u64,
}

/// The proxy sends well-formed requests with a length, so reading them is simple.
fn read_request(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Request>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let length = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
    };
    let body: u64 = head.lines().find_map(length).unwrap_or(0);
    let read = io::copy(&mut reader.take(body), &mut io::sink())?;
    let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
    Ok(Some(Request { path, head, body: read }))
}

fn answer(mut stream: &TcpStream, colour: &str, request: &Request) -> io::Result<()> {
    match request.path.split('?').next().unwrap_or_default() {
        "/events" => events(stream, colour),
        "/slow" => {
            std::thread::sleep(Duration::from_secs(10));
            text(stream, colour, "slow, but here\n")
        }
        "/stock" => json(stream, &format!(r#"{{"colour":"{colour}","left":3,"supplier":"internal"}}"#)),
        "/price" => json(stream, r#"{"amount":12.50,"currency":"EUR"}"#),
        "/verify" => verify(stream, &request.head),
        "/upload" => text(stream, colour, &format!("{colour} received {} bytes\n", request.body)),
        _ => {
            let page =
                format!("Hello from {colour}. This came from the proxy:\n\n{}", request.head.trim_end());
            text(stream, colour, &format!("{page}\n"))
        }
    }?;
    stream.flush()
}

fn json(mut stream: &TcpStream, json: &str) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}\n",
        json.len() + 1
    )
}

fn text(mut stream: &TcpStream, colour: &str, text: &str) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nX-Colour: {colour}\r\n\
         Content-Length: {}\r\n\r\n{text}",
        text.len()
    )
}

/// Of alice with the password `open`, and of nobody else, requests may go on.
fn verify(mut stream: &TcpStream, head: &str) -> io::Result<()> {
    let answer = match head.contains("Authorization: Basic YWxpY2U6b3Blbg==\r\n") {
        true => "204 No Content\r\nX-Auth-User: alice",
        false => "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"demo\"\r\nContent-Length: 0",
    };
    write!(stream, "HTTP/1.1 {answer}\r\n\r\n")
}

fn events(mut stream: &TcpStream, colour: &str) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\
         Cache-Control: no-store\r\n\r\n"
    )?;
    for number in 1..=5 {
        let event = format!("data: event {number} of 5 from {colour}\n\n");
        write!(stream, "{:x}\r\n{event}\r\n", event.len())?;
        std::thread::sleep(Duration::from_millis(500));
    }
    write!(stream, "0\r\n\r\n")
}

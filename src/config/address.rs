//! Addresses of listeners and endpoints, and networks of clients.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use super::host;
use super::values::{Parsed, shown, wrong};
use crate::listen::ListenAddress;
use crate::upstream::EndpointAddress;

/// Longest path that a socket address of Linux holds (108 bytes with the zero at its end).
const MAX_UNIX_PATH: usize = 107;

pub fn listen(text: &str) -> Parsed<ListenAddress> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(ListenAddress::Unix(unix_path(path)?));
    }
    socket(text).map(ListenAddress::Tcp)
}

/// "0.0.0.0:80", "[::]:80", ":80" (the same as "[::]:80").
pub fn socket(text: &str) -> Parsed<SocketAddr> {
    let not = || format!("{} is not an address to listen on", shown(text));
    if let Some((scheme, rest)) = text.split_once("://") {
        return Err(wrong(not(), drop_scheme(scheme, rest)));
    }
    if let Some(digits) = text.strip_prefix(':').filter(|rest| !rest.contains(':')) {
        let port = port(digits, text, 0)?;
        return Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port));
    }
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong(not(), format!("for port {text} on all addresses write \":{text}\"")));
    }
    if text.starts_with('/') {
        return Err(wrong(not(), format!("for a Unix socket write \"unix:{text}\"")));
    }
    if let Some(fixed) = with_brackets(text) {
        return Err(wrong(not(), format!("put brackets around IPv6: \"{fixed}\"")));
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Err(wrong(
            format!("{} has no port", shown(text)),
            format!("write \"{}\"", SocketAddr::new(ip, 80)),
        ));
    }
    let Some((name, digits)) = text.rsplit_once(':') else {
        return Err(wrong(
            not(),
            "write an address and a port: \"0.0.0.0:80\", or \":80\" for all addresses",
        ));
    };
    let port = port(digits, text, 0)?;
    let hint = match name {
        "*" => format!("for all addresses write \":{port}\""),
        "localhost" => format!("write \"127.0.0.1:{port}\""),
        _ => format!("write the IP address of this machine, or \":{port}\" for all addresses"),
    };
    Err(wrong(not(), hint))
}

/// A name server: "10.0.0.2", "10.0.0.2:5353", "fd00::2", "[fd00::2]:53". The port is 53 without one.
pub fn name_server(text: &str) -> Parsed<SocketAddr> {
    const DNS_PORT: u16 = 53;
    let address = match (text.parse::<SocketAddr>(), text.trim_matches(['[', ']']).parse::<IpAddr>()) {
        (Ok(address), _) => address,
        (Err(_), Ok(ip)) => SocketAddr::new(ip, DNS_PORT),
        (Err(_), Err(_)) => {
            let message = format!("{} is not the address of a name server", shown(text));
            let hint = match with_brackets(text) {
                Some(fixed) => format!("put brackets around IPv6: \"{fixed}\""),
                None => "write its IP address, with a port if it is not 53: \"10.0.0.2\", \"10.0.0.2:5353\""
                    .to_string(),
            };
            return Err(wrong(message, hint));
        }
    };
    if address.port() == 0 {
        return Err(port_range(text, 1));
    }
    if address.ip().is_unspecified() {
        let hint = format!("for this machine write \"127.0.0.1:{}\"", address.port());
        return Err(wrong(format!("nothing answers at `{}`", address.ip()), hint));
    }
    Ok(address)
}

pub fn endpoint(text: &str) -> Parsed<EndpointAddress> {
    let not = || format!("{} is not the address of an endpoint", shown(text));
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(EndpointAddress::Unix(unix_path(path)?));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return Err(wrong(not(), drop_scheme(scheme, rest)));
    }
    if text.starts_with('/') {
        return Err(wrong(not(), format!("for a Unix socket write \"unix:{text}\"")));
    }
    if let Some((address, _)) = text.split_once('/') {
        let hint =
            format!("an endpoint has no path: \"{address}\"; see `strip_prefix` and `rewrite` of routes");
        return Err(wrong(not(), hint));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return usable(address, text);
    }
    if let Some(fixed) = with_brackets(text) {
        return Err(wrong(not(), format!("put brackets around IPv6: \"{fixed}\"")));
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        let fixed = SocketAddr::new(ip, 80);
        return Err(wrong(
            format!("{} has no port", shown(text)),
            format!("write \"{fixed}\", or the right port"),
        ));
    }
    let Some((name, digits)) = text.rsplit_once(':') else {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong(not(), format!("a port needs a host: \"127.0.0.1:{text}\"")));
        }
        host::name(text).map_err(|why| wrong(not(), why))?;
        return Err(wrong(
            format!("{} has no port", shown(text)),
            format!("write \"{text}:80\", or the right port"),
        ));
    };
    let port = port(digits, text, 1)?;
    if name.is_empty() {
        return Err(wrong(not(), format!("a port needs a host: \"127.0.0.1:{port}\"")));
    }
    let host = host::name(name).map_err(|why| wrong(not(), why))?;
    Ok(EndpointAddress::Name { host, port })
}

/// The name of SRV records: "_http._tcp.app.internal".
pub fn service(text: &str) -> Parsed<String> {
    let not = || format!("{} is not the name of a service", shown(text));
    if let Some((name, _)) = text.split_once(':') {
        return Err(wrong(not(), format!("SRV records tell the port: \"{name}\"")));
    }
    host::name(text).map_err(|why| wrong(not(), why))
}

/// "fd00::1:8080" is an IPv6 address, but was hardly meant as one.
fn with_brackets(text: &str) -> Option<String> {
    let (name, port) = text.rsplit_once(':')?;
    let meant = name.parse::<Ipv6Addr>().is_ok() && port.parse::<u16>().is_ok();
    meant.then(|| format!("[{name}]:{port}"))
}

/// "10.0.0.0/8", or one address.
pub fn network(text: &str) -> Parsed<IpNet> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(ip));
    }
    let not = format!("{} is not a network", shown(text));
    match text.parse::<IpNet>() {
        Ok(network) if network.addr() == network.network() => Ok(network),
        Ok(network) => {
            let hint = format!(
                "write \"{}\" for the network, \"{}\" for the address",
                network.trunc(),
                network.addr()
            );
            Err(wrong(format!("{} has bits behind its prefix", shown(text)), hint))
        }
        Err(_) => Err(wrong(not, "write \"10.0.0.0/8\", \"fd00::/8\" or a single address")),
    }
}

fn usable(address: SocketAddr, text: &str) -> Parsed<EndpointAddress> {
    if address.port() == 0 {
        return Err(port_range(text, 1));
    }
    if address.ip().is_unspecified() {
        let hint = format!("for this machine write \"127.0.0.1:{}\"", address.port());
        return Err(wrong(format!("nothing answers at `{}`", address.ip()), hint));
    }
    Ok(EndpointAddress::Socket(address))
}

fn port(digits: &str, text: &str, min: u16) -> Parsed<u16> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !plain {
        let message = format!("`{digits}` in `{text}` is not a port");
        return Err(wrong(message, format!("a port is a number, {min} to 65535")));
    }
    digits.parse().ok().filter(|port| *port >= min).ok_or_else(|| port_range(text, min))
}

fn port_range(text: &str, min: u16) -> super::values::Wrong {
    let digits = text.rsplit(':').next().unwrap_or(text);
    wrong(format!("{digits} is not a port"), format!("a port is {min} to 65535"))
}

fn drop_scheme(scheme: &str, rest: &str) -> String {
    let address = rest.split('/').next().unwrap_or(rest);
    let has_port = address.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok());
    match scheme {
        _ if address.is_empty() => "write host and port, without a scheme: \"10.0.0.1:80\"".to_string(),
        _ if has_port => format!("write it without the scheme: \"{address}\""),
        "https" => format!("write host and port, without the scheme: \"{address}:443\""),
        _ => format!("write host and port, without the scheme: \"{address}:80\""),
    }
}

fn unix_path(path: &str) -> Parsed<PathBuf> {
    if path.is_empty() {
        return Err(wrong("`unix:` has no path", "write \"unix:/run/app.sock\""));
    }
    if let Some(rest) = path.strip_prefix("//") {
        let rest = rest.trim_start_matches('/');
        return Err(wrong(format!("`unix:{path}` is not a Unix socket"), format!("write \"unix:/{rest}\"")));
    }
    if path.contains('\0') {
        return Err(wrong("a path cannot have a zero byte", "write \"unix:/run/app.sock\""));
    }
    if path.len() > MAX_UNIX_PATH {
        let message = format!("the path of this Unix socket is {} bytes long", path.len());
        return Err(wrong(message, format!("the system takes at most {MAX_UNIX_PATH}")));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses() {
        for (text, expected) in [
            ("0.0.0.0:80", "0.0.0.0:80"),
            (":8080", "[::]:8080"),
            ("[::1]:0", "[::1]:0"),
            ("127.0.0.1:0", "127.0.0.1:0"),
        ] {
            assert_eq!(listen(text), Ok(ListenAddress::Tcp(expected.parse().unwrap())), "{text}");
        }
        assert_eq!(listen("unix:/run/a.sock"), Ok(ListenAddress::Unix("/run/a.sock".into())));
        for text in
            ["", ":", "80", "::1:80:", "localhost:80", "http://a", "*:80", "a:99999", "unix:", ":80:80"]
        {
            assert!(listen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn endpoint_addresses() {
        for text in ["10.0.0.1:80", "[fd00::1]:80", "app.internal:8080", "my_app:3000", "unix:/run/app.sock"]
        {
            assert_eq!(endpoint(text).map(|address| address.to_string()), Ok(text.to_string()));
        }
        for text in [
            "10.0.0.1",
            "app",
            "http://app:80",
            "app:0",
            "0.0.0.0:80",
            "fd00::1:80",
            "a b:80",
            ":80",
            "-a:80",
        ] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn name_servers() {
        for (text, expected) in [
            ("10.0.0.2", "10.0.0.2:53"),
            ("10.0.0.2:5353", "10.0.0.2:5353"),
            ("fd00::2", "[fd00::2]:53"),
            ("[fd00::2]", "[fd00::2]:53"),
            ("[fd00::2]:5353", "[fd00::2]:5353"),
        ] {
            assert_eq!(name_server(text), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in ["", "dns.example.com", "10.0.0.2:0", "0.0.0.0", "10.0.0.2:99999", "udp://10.0.0.2"] {
            assert!(name_server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn services() {
        assert_eq!(service("_http._tcp.app.internal"), Ok("_http._tcp.app.internal".to_string()));
        for text in ["", "_http._tcp.app.internal:80", "a b", "http://a"] {
            assert!(service(text).is_err(), "{text}");
        }
    }

    #[test]
    fn networks() {
        assert_eq!(network("10.0.0.0/8"), Ok("10.0.0.0/8".parse().unwrap()));
        assert_eq!(network("::1"), Ok("::1/128".parse().unwrap()));
        for text in ["10.0.0.1/8", "10.0.0.0/33", "localhost", ""] {
            assert!(network(text).is_err(), "{text}");
        }
    }
}

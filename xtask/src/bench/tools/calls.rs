//! Counts system calls in the log of `strace -f -y`: which, and whether on a socket.

use std::collections::HashMap;

use crate::bench::results::Calls;

/// What the long run did more than the short one, per each of the `requests` that it had more.
pub fn per_request(short: &str, long: &str, requests: f64) -> Calls {
    let (short, long) = (count(short), count(long));
    let mut by_name = Vec::new();
    let (mut socket, mut other) = (0.0, 0.0);
    for (kind, count) in long {
        let more = count as f64 - short.get(&kind).copied().unwrap_or(0) as f64;
        let each = more / requests;
        match kind {
            (_, Place::Socket) => socket += each,
            _ => other += each,
        }
        // Below this it is not of the request but of the clock.
        if each >= 0.005 {
            by_name.push((kind.1.describe(kind.0), each));
        }
    }
    by_name.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Calls { socket, other, by_name }
}

/// On what a call works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Socket,
    File,
    Nothing,
}

impl Place {
    fn describe(self, name: &str) -> String {
        match self {
            Place::File => format!("{name} (file)"),
            Place::Socket | Place::Nothing => name.to_string(),
        }
    }
}

fn count(log: &str) -> HashMap<(&str, Place), u64> {
    let mut counts = HashMap::new();
    for call in log.lines().filter_map(parse_line) {
        *counts.entry(call).or_default() += 1;
    }
    counts
}

/// `PID recvfrom(7<socket:[123]>, ...`. The second half of an interrupted call (`<... read resumed>`), signals
/// and exits are no calls of their own.
fn parse_line(line: &str) -> Option<(&str, Place)> {
    let (_, rest) = line.split_once(' ')?;
    let (name, arguments) = rest.trim_start().split_once('(')?;
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    let transfers = TRANSFERS.contains(&name);
    let place = match arguments.contains("<socket:[") {
        true if transfers => Place::Socket,
        false if transfers => Place::File,
        _ => Place::Nothing,
    };
    Some((name, place))
}

/// Calls that move bytes.
const TRANSFERS: &[&str] = &[
    "read", "readv", "recvfrom", "recvmsg", "recvmmsg", "write", "writev", "sendto", "sendmsg", "sendmmsg",
    "sendfile", "splice",
];

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_REQUEST: &str = "\
7 epoll_wait(3<anon_inode:[eventpoll]>, [{...}], 512, -1) = 1
7 recvfrom(9<socket:[71]>, \"\"..., 1024, 0, NULL, NULL) = 60
7 writev(10<socket:[72]>, [{iov_base=\"\"..., iov_len=200}], 1) = 200
7 recvfrom(10<socket:[72]>,  <unfinished ...>
8 futex(0x7f, FUTEX_WAIT) = 0
7 <... recvfrom resumed>\"\"..., 4096, 0, NULL, NULL) = 150
7 sendto(9<socket:[71]>, \"\"..., 150, 0, NULL, 0) = 150
7 write(5</var/log/access.log>, \"\"..., 80) = 80
7 --- SIGTERM {si_signo=SIGTERM} ---
";

    #[test]
    fn counts_calls_per_request_by_place() {
        let start = "7 read(4</etc/passwd>, \"\"..., 4096) = 100\n";
        let short = format!("{start}{}", ONE_REQUEST.repeat(2));
        let long = format!("{start}{}", ONE_REQUEST.repeat(12));
        let calls = per_request(&short, &long, 10.0);
        assert_eq!((calls.socket, calls.other), (4.0, 3.0));
        assert_eq!(calls.by_name[0], ("recvfrom".to_string(), 2.0));
        assert!(calls.by_name.contains(&("write (file)".to_string(), 1.0)));
        assert!(!calls.by_name.iter().any(|(name, _)| name.starts_with("read")));
    }
}

//! What the options of `cargo xtask bench` ask for.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::front::{Codec, Front, Key};
use super::peers::Peer;

pub struct Plan {
    pub peers: Vec<Peer>,
    pub topics: Vec<Topic>,
    /// Only what is counted, not timed: it needs no quiet machine. Printed, not written down.
    pub counts_only: bool,
    /// Of small and large answers over HTTP/1.1.
    pub rounds: Rounds,
    /// Of everything with TLS or HTTP/2: there is more of it, and it shall take less than eight minutes.
    pub short_rounds: Rounds,
    pub command: String,
}

/// How often something is measured, and for how long each time.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    pub count: usize,
    /// Whole seconds.
    pub duration: Duration,
}

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} interleaved rounds of {} s", self.count, self.duration.as_secs())
    }
}

/// A part of the page that can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Http1,
    Tls,
    Http2,
    Compression,
    Files,
}

impl Topic {
    pub const ALL: &[Topic] = &[Topic::Http1, Topic::Tls, Topic::Http2, Topic::Compression, Topic::Files];

    fn name(self) -> &'static str {
        match self {
            Topic::Http1 => "http1",
            Topic::Tls => "tls",
            Topic::Http2 => "http2",
            Topic::Compression => "compression",
            Topic::Files => "files",
        }
    }

    /// All that a proxy has to speak with clients for it.
    pub fn fronts(self) -> &'static [Front] {
        match self {
            Topic::Http1 => &[Front::Http1],
            Topic::Tls => &[Front::Tls(Key::EcdsaP256), Front::Tls(Key::Rsa2048)],
            Topic::Http2 => &[Front::Tls(Key::EcdsaP256), Front::Http2],
            Topic::Compression => &[Front::Coded(Codec::Gzip, 6)],
            // The proxies that are compared have proven themselves elsewhere; files come from no origin.
            Topic::Files => &[],
        }
    }

    /// False where we know no configuration of the proxy for it.
    pub fn is_for(self, peer: Peer) -> bool {
        let has_files = matches!(peer, Peer::Palisade | Peer::Nginx);
        (self != Topic::Files || has_files) && self.fronts().iter().all(|front| peer.has(*front))
    }
}

impl Plan {
    pub fn parse(options: &[&str]) -> Result<Plan> {
        let (mut all, mut quick, mut counts_only, mut only) = (false, false, false, None);
        let mut rest = options.iter();
        while let Some(&option) = rest.next() {
            match option {
                "--quick" => quick = true,
                "--counts" => counts_only = true,
                "--peers" => match rest.next() {
                    Some(&"all") => all = true,
                    other => bail!("--peers all, not {other:?}"),
                },
                "--only" => only = Some(*rest.next().context("--only needs names")?),
                _ => bail!("no option {option}; see `cargo xtask`"),
            }
        }
        let rounds = |count, seconds| Rounds { count, duration: Duration::from_secs(seconds) };
        let (peers, topics) = select(all, only)?;
        Ok(Plan {
            peers,
            topics,
            counts_only,
            rounds: if quick { rounds(3, 2) } else { rounds(7, 4) },
            short_rounds: if quick { rounds(3, 1) } else { rounds(5, 2) },
            command: [&["cargo xtask bench"], options].concat().join(" "),
        })
    }

    /// True when nothing usual is left out.
    pub fn is_whole(&self) -> bool {
        Peer::USUAL.iter().all(|peer| self.peers.contains(peer)) && self.topics == Topic::ALL
    }
}

/// `--peers all` and `--only a,b`, which names proxies, topics or both; where it names none of a kind, it leaves
/// that kind as it is. In a fixed order, Palisade first.
fn select(all: bool, only: Option<&str>) -> Result<(Vec<Peer>, Vec<Topic>)> {
    let (mut peers, mut topics) = (Vec::new(), Vec::new());
    for name in only.iter().flat_map(|only| only.split(',')) {
        match Topic::ALL.iter().find(|topic| topic.name().eq_ignore_ascii_case(name)) {
            Some(topic) => topics.push(*topic),
            None => peers.push(Peer::by_name(name)?),
        }
    }
    let usual = if all { Peer::ALL } else { Peer::USUAL };
    let peers = match peers.is_empty() {
        true => usual.to_vec(),
        false => Peer::ALL.iter().copied().filter(|peer| peers.contains(peer)).collect(),
    };
    let topics = Topic::ALL.iter().copied().filter(|topic| topics.is_empty() || topics.contains(topic));
    Ok((peers, topics.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_make_a_plan_that_can_be_repeated() {
        let plan = Plan::parse(&["--quick", "--only", "nginx,haproxy"]).unwrap();
        assert_eq!(plan.peers, [Peer::Nginx, Peer::Haproxy]);
        assert_eq!(plan.command, "cargo xtask bench --quick --only nginx,haproxy");
        assert!(Plan::parse(&["--fast"]).is_err());
        assert!(Plan::parse(&["--peers", "some"]).is_err());
    }

    #[test]
    fn selects_in_a_fixed_order() {
        let both = |peers: &[Peer], topics: &[Topic]| (peers.to_vec(), topics.to_vec());
        for (all, only, selected) in [
            (false, None, both(Peer::USUAL, Topic::ALL)),
            (true, None, both(Peer::ALL, Topic::ALL)),
            (false, Some("haproxy,Nginx"), both(&[Peer::Nginx, Peer::Haproxy], Topic::ALL)),
            (false, Some("http2,tls"), both(Peer::USUAL, &[Topic::Tls, Topic::Http2])),
            (true, Some("palisade,TLS"), both(&[Peer::Palisade], &[Topic::Tls])),
        ] {
            assert_eq!(select(all, only).unwrap(), selected, "{only:?}");
        }
        assert!(select(false, Some("apache")).is_err());
        assert!(select(false, Some("")).is_err());
    }

    #[test]
    fn only_a_whole_run_is_for_the_page() {
        assert!(Plan::parse(&[]).unwrap().is_whole());
        assert!(Plan::parse(&["--peers", "all"]).unwrap().is_whole());
        assert!(!Plan::parse(&["--only", "tls"]).unwrap().is_whole());
        assert!(!Plan::parse(&["--only", "nginx"]).unwrap().is_whole());
    }
}

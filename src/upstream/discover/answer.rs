//! What may be believed of an answer: only records of the name that was asked for, or of what its aliases
//! lead to, and only addresses and targets that something can be sent to. Plain functions.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record};

use super::Families;
use super::kept::Answer;

/// One SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    /// A host name without the dot at its end.
    pub target: String,
}

/// What came back for one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply<T> {
    Records(Vec<T>, Duration),
    /// The server says that there is nothing.
    Nothing(&'static str),
    Failed(String),
}

/// Aliases on the way from a name to its records.
const MAX_ALIASES: usize = 16;

pub fn addresses(asked: &Name, records: &[Record]) -> Reply<IpAddr> {
    pick(asked, records, |data| match data {
        RData::A(address) => usable(IpAddr::V4(address.0)),
        RData::AAAA(address) => usable(IpAddr::V6(address.0)),
        _ => None,
    })
}

pub fn services(asked: &Name, records: &[Record]) -> Reply<Service> {
    pick(asked, records, |data| match data {
        RData::SRV(service) => Some(Service {
            priority: service.priority,
            weight: service.weight,
            port: Some(service.port).filter(|port| *port > 0)?,
            target: host_name(&service.target)?,
        }),
        _ => None,
    })
}

fn pick<T>(asked: &Name, records: &[Record], read: impl Fn(&RData) -> Option<T>) -> Reply<T> {
    let mut owner = asked;
    let mut ttl = u32::MAX;
    for _ in 0..MAX_ALIASES {
        let alias =
            records.iter().filter(|record| record.name == *owner).find_map(|record| match &record.data {
                RData::CNAME(target) => Some((&target.0, record.ttl)),
                _ => None,
            });
        let Some((target, holds)) = alias else { break };
        ttl = ttl.min(holds);
        owner = target;
    }
    let mut found = Vec::new();
    for record in records.iter().filter(|record| record.name == *owner) {
        if let Some(value) = read(&record.data) {
            ttl = ttl.min(record.ttl);
            found.push(value);
        }
    }
    if found.is_empty() {
        return Reply::Nothing("the answer has no usable record");
    }
    Reply::Records(found, Duration::from_secs(u64::from(ttl)))
}

/// An address that one can connect to, IPv4 in its own form.
fn usable(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    let nowhere =
        address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST);
    (!nowhere).then_some(address)
}

/// The root, which says that there is no such service, is none.
fn host_name(name: &Name) -> Option<String> {
    let text = name.to_ascii();
    let text = text.strip_suffix('.').unwrap_or(&text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!text.is_empty() && text.bytes().all(plain)).then(|| text.to_ascii_lowercase())
}

/// A look-up that brought no records.
pub fn failure<T>(error: &NetError) -> Reply<T> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Reply::Nothing("there is no such name (NXDOMAIN)"),
            ResponseCode::NoError => Reply::Nothing("the answer is empty"),
            code => Reply::Failed(code.to_string()),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => Reply::Failed(code.to_string()),
        NetError::Timeout => Reply::Failed(NO_ANSWER.to_string()),
        error => Reply::Failed(error.to_string()),
    }
}

pub const NO_ANSWER: &str = "no answer";

/// The answer of a name of which both kinds of addresses were asked for (`None`: not asked). A kind that
/// failed leaves its addresses of earlier unconfirmed; so does the word that there is nothing at all, as
/// that is more often a mistake than meant.
pub fn both(v4: Option<Reply<IpAddr>>, v6: Option<Reply<IpAddr>>, known: &[IpAddr]) -> Answer<IpAddr> {
    let mut answer = Answer { fresh: Vec::new(), ttl: Duration::MAX, stale: Vec::new(), trouble: None };
    let mut nothing = None;
    for (reply, is_v4) in [(v4, true), (v6, false)] {
        match reply {
            None => {}
            Some(Reply::Records(addresses, ttl)) => {
                answer.fresh.extend(addresses);
                answer.ttl = answer.ttl.min(ttl);
            }
            Some(Reply::Nothing(why)) => nothing = nothing.or(Some(why)),
            Some(Reply::Failed(why)) => {
                answer.stale.extend(known.iter().filter(|address| address.is_ipv4() == is_v4));
                answer.trouble.get_or_insert(why);
            }
        }
    }
    if answer.fresh.is_empty() {
        answer.stale = known.to_vec();
        answer.trouble = answer.trouble.or(nothing.map(str::to_string));
    }
    answer
}

/// The answer to a single question.
pub fn single<T: Clone>(reply: Reply<T>, known: &[T]) -> Answer<T> {
    let (fresh, ttl, trouble) = match reply {
        Reply::Records(records, ttl) => {
            return Answer { fresh: records, ttl, stale: Vec::new(), trouble: None };
        }
        Reply::Nothing(why) => (Vec::new(), Duration::ZERO, why.to_string()),
        Reply::Failed(why) => (Vec::new(), Duration::ZERO, why),
    };
    Answer { fresh, ttl, stale: known.to_vec(), trouble: Some(trouble) }
}

/// Those of a name's addresses that are used.
pub fn chosen(families: Families, addresses: &[IpAddr]) -> impl Iterator<Item = IpAddr> {
    let has = |v4: bool| addresses.iter().any(|address| address.is_ipv4() == v4);
    let (v4, v6) = match families {
        Families::All => (true, true),
        Families::V4 => (true, false),
        Families::V6 => (false, true),
        Families::V4First => (true, !has(true)),
        Families::V6First => (!has(false), true),
    };
    addresses.iter().copied().filter(move |address| if address.is_ipv4() { v4 } else { v6 })
}

#[cfg(test)]
mod tests;

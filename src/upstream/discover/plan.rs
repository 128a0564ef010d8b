//! From what is known about names and files to the members of an upstream. Plain functions: the same
//! knowledge gives the same members in the same order.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::Families;
use super::answer::{Service, chosen};
use super::knowledge::{Knowledge, Question};
use crate::upstream::EndpointAddress;

/// One entry of an upstream whose members are found while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// Each address of a host is a member.
    Host { host: String, port: u16, weight: u16, priority: u16 },
    /// SRV records tell hosts, ports, weights and priorities.
    Srv(String),
    /// A file of endpoints that is watched.
    File(PathBuf),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Host { host, port, .. } => write!(f, "{host}:{port}"),
            Source::Srv(name) => write!(f, "srv {name}"),
            Source::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// One member of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// A socket address or a Unix socket, never a name.
    pub address: EndpointAddress,
    pub weight: u16,
    /// Lower ones are used first; a group each.
    pub priority: u16,
    /// The name that led here.
    pub hostname: Option<String>,
}

/// One line of a file of endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub address: EndpointAddress,
    pub weight: u16,
    pub priority: u16,
}

/// The members of an upstream, a list for each of its sources, each address once. Within a source they are
/// in the order of priority and address, so that the first are the same ones whenever more than `most` are
/// found. Says how many were too many.
pub fn members(
    sources: &[Source],
    known: &Knowledge,
    families: Families,
    most: usize,
) -> (Vec<Vec<Found>>, usize) {
    let mut seen = HashSet::new();
    let mut too_many = 0;
    let mut lists = Vec::with_capacity(sources.len());
    for source in sources {
        let mut list = found(source, known, families, most);
        list.sort_by(|a, b| order(a).cmp(&order(b)));
        list.retain(|member| {
            let is_new = !seen.contains(&member.address);
            let fits = seen.len() < most;
            too_many += usize::from(is_new && !fits);
            is_new && fits && seen.insert(member.address.clone())
        });
        lists.push(list);
    }
    (lists, too_many)
}

fn order(member: &Found) -> (u16, Option<SocketAddr>, String) {
    match &member.address {
        EndpointAddress::Socket(address) => (member.priority, Some(*address), String::new()),
        other => (member.priority, None, other.to_string()),
    }
}

fn found(source: &Source, known: &Knowledge, families: Families, most: usize) -> Vec<Found> {
    let at = |host: &str, port: u16, weight: u16, priority: u16| {
        let host = host.to_owned();
        let addresses: Vec<IpAddr> = chosen(families, known.addresses(&host)).collect();
        addresses.into_iter().map(move |ip| Found {
            address: EndpointAddress::Socket(SocketAddr::new(ip, port)),
            weight,
            priority,
            hostname: Some(host.clone()),
        })
    };
    match source {
        Source::Host { host, port, weight, priority } => at(host, *port, *weight, *priority).collect(),
        // A weight of 0 means "hardly ever" (RFC 2782); the smallest share there is comes next to it.
        Source::Srv(name) => targets(known, name, most)
            .flat_map(|service| at(&service.target, service.port, service.weight.max(1), service.priority))
            .collect(),
        Source::File(path) => known
            .listed(path)
            .iter()
            .flat_map(|line| match &line.address {
                EndpointAddress::Name { host, port } => at(host, *port, line.weight, line.priority).collect(),
                address => vec![Found {
                    address: address.clone(),
                    weight: line.weight,
                    priority: line.priority,
                    hostname: None,
                }],
            })
            .collect(),
    }
}

/// The records that count: the most important ones, when there are too many.
fn targets<'k>(known: &'k Knowledge, name: &str, most: usize) -> impl Iterator<Item = &'k Service> {
    known.services(name).iter().take(most)
}

/// What must be known for these sources; the hosts depend on what is known already.
pub fn questions(sources: &[Source], known: &Knowledge, most: usize) -> Vec<Question> {
    let mut questions = Vec::new();
    for source in sources {
        match source {
            Source::Host { host, .. } => questions.push(Question::Host(host.clone())),
            Source::Srv(name) => {
                questions.push(Question::Srv(name.clone()));
                let hosts = targets(known, name, most).map(|service| Question::Host(service.target.clone()));
                questions.extend(hosts);
            }
            Source::File(path) => {
                questions.push(Question::File(path.clone()));
                questions.extend(known.listed(path).iter().filter_map(|line| match &line.address {
                    EndpointAddress::Name { host, .. } => Some(Question::Host(host.clone())),
                    EndpointAddress::Socket(_) | EndpointAddress::Unix(_) => None,
                }));
            }
        }
    }
    questions
}

#[cfg(test)]
mod tests;

//! From what is known about names and files to the endpoints of an upstream. Plain functions: the same
//! knowledge gives the same endpoints in the same order.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use super::Families;
use super::answer::{Service, chosen};
use super::knowledge::{Knowledge, Question};
use crate::upstream::group::Found;
use crate::upstream::health::BACKUP;
use crate::upstream::{Address, EndpointAddress, EndpointOptions};

/// True for an entry whose endpoints are found while the proxy runs.
pub fn is_source(entry: &EndpointOptions) -> bool {
    match entry.address {
        EndpointAddress::Socket(_) | EndpointAddress::Unix(_) => false,
        EndpointAddress::Name { .. } | EndpointAddress::Srv(_) | EndpointAddress::File(_) => true,
    }
}

/// The endpoints of an upstream, a list for each of its sources, each address once. Within a source they are
/// in the order of tier and address, so that the first are the same ones whenever more than `most` are
/// found. Says how many were too many.
pub fn endpoints(
    sources: &[EndpointOptions],
    known: &Knowledge,
    families: Families,
    most: usize,
) -> (Vec<Vec<Found>>, usize) {
    let mut seen = HashSet::new();
    let mut too_many = 0;
    let mut lists = Vec::with_capacity(sources.len());
    for source in sources {
        let mut list = found(source, known, families, most);
        list.sort_by(|a, b| (a.tier, &a.address).cmp(&(b.tier, &b.address)));
        list.retain(|found| {
            let is_new = !seen.contains(&found.address);
            let fits = seen.len() < most;
            too_many += usize::from(is_new && !fits);
            is_new && fits && seen.insert(found.address.clone())
        });
        lists.push(list);
    }
    (lists, too_many)
}

fn found(source: &EndpointOptions, known: &Knowledge, families: Families, most: usize) -> Vec<Found> {
    let &EndpointOptions { ref address, weight, tier } = source;
    let at = |host: &str, port: u16, weight: u16, tier: u16| -> Vec<Found> {
        let found = |ip: IpAddr| Found {
            address: Address::Tcp(SocketAddr::new(ip, port)),
            host: Some(host.to_owned()),
            weight,
            tier,
        };
        chosen(families, known.addresses(host)).map(found).collect()
    };
    match address {
        EndpointAddress::Socket(address) => {
            vec![Found { address: Address::Tcp(*address), host: None, weight, tier }]
        }
        EndpointAddress::Unix(path) => {
            vec![Found { address: Address::Unix(path.clone()), host: None, weight, tier }]
        }
        EndpointAddress::Name { host, port } => at(host, *port, weight, tier),
        // A weight of 0 means "hardly ever" (RFC 2782); the smallest share there is comes next to it.
        EndpointAddress::Srv(name) => targets(known, name, most)
            .flat_map(|service| {
                at(&service.target, service.port, service.weight.max(1), service.priority.min(BACKUP - 1))
            })
            .collect(),
        EndpointAddress::File(path) => {
            let plain = known.listed(path).iter().filter(|entry| is_plain(entry));
            plain.flat_map(|entry| found(entry, known, families, most)).collect()
        }
    }
}

/// A file lists no files and no SRV records.
fn is_plain(entry: &EndpointOptions) -> bool {
    !matches!(entry.address, EndpointAddress::Srv(_) | EndpointAddress::File(_))
}

/// The records that count: the most important ones, when there are too many.
fn targets<'k>(known: &'k Knowledge, name: &str, most: usize) -> impl Iterator<Item = &'k Service> {
    known.services(name).iter().take(most)
}

/// What must be known for this source; the hosts depend on what is known already.
pub fn questions(source: &EndpointOptions, known: &Knowledge, most: usize) -> Vec<Question> {
    match &source.address {
        EndpointAddress::Socket(_) | EndpointAddress::Unix(_) => Vec::new(),
        EndpointAddress::Name { host, .. } => vec![Question::Host(host.clone())],
        EndpointAddress::Srv(name) => {
            let hosts = targets(known, name, most).map(|service| Question::Host(service.target.clone()));
            std::iter::once(Question::Srv(name.clone())).chain(hosts).collect()
        }
        EndpointAddress::File(path) => {
            let plain = known.listed(path).iter().filter(|entry| is_plain(entry));
            let hosts = plain.flat_map(|entry| questions(entry, known, most));
            std::iter::once(Question::File(path.clone())).chain(hosts).collect()
        }
    }
}

#[cfg(test)]
mod tests;

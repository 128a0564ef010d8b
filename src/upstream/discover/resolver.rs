//! Asks name servers, those of the system or those of the configuration. Nothing is kept here: how long an
//! answer holds is decided in `kept.rs`.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, TokioResolver};
use tokio::time::timeout;

use super::answer::{self, NO_ANSWER, Reply, Service};
use super::{DnsOptions, Families};
use crate::wire::Stamp;

/// Made from the options, `/etc/resolv.conf` and `/etc/hosts` as they were at one moment.
pub struct Resolver {
    servers: TokioResolver,
    hosts: Hosts,
    families: Families,
    timeout: Duration,
    made_of: (DnsOptions, [Option<Stamp>; 2]),
}

/// Each try has a third of the patience.
const TRIES: u32 = 3;
const SYSTEM: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];
const DNS_PORT: u16 = 53;
/// More than all look-ups at once, two questions each.
const MAX_QUESTIONS: usize = 64;

impl Resolver {
    pub fn is_made_for(&self, options: &DnsOptions) -> bool {
        self.made_of.0 == *options
    }

    /// The files of the system have changed. Looks at them.
    pub fn is_outdated(&self) -> bool {
        self.made_of.1 != SYSTEM.map(|file| Stamp::of(Path::new(file)))
    }

    pub fn make(options: &DnsOptions) -> Result<Resolver, String> {
        // Taken before the files are read: what changes meanwhile is seen the next time.
        let stamps = SYSTEM.map(|file| Stamp::of(Path::new(file)));
        let local = SocketAddr::from(([127, 0, 0, 1], DNS_PORT));
        let (config, mut settings) = match options.servers.as_slice() {
            // Without a file the server is on this machine, see resolv.conf(5).
            [] => read_system_conf().unwrap_or_else(|_| (asking(&[local]), ResolverOpts::default())),
            servers => (asking(servers), ResolverOpts::default()),
        };
        settings.timeout = options.timeout / TRIES;
        settings.attempts = TRIES as usize - 1;
        settings.cache_size = 0;
        settings.max_active_requests = MAX_QUESTIONS;
        // We look there ourselves: it would miss short names there when there is a search list.
        settings.use_hosts_file = ResolveHosts::Never;
        let servers = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(settings)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Resolver {
            servers,
            hosts: Hosts::from_system().unwrap_or_default(),
            families: options.addresses,
            timeout: options.timeout,
            made_of: (options.clone(), stamps),
        })
    }

    /// The IPv4 and the IPv6 addresses of a host; `None` where they are not wanted.
    pub async fn addresses(&self, host: &str) -> (Option<Reply<IpAddr>>, Option<Reply<IpAddr>>) {
        let (v4, v6) = match self.families {
            Families::V4 => (true, false),
            Families::V6 => (false, true),
            Families::All | Families::V4First | Families::V6First => (true, true),
        };
        if let Some(found) = self.in_hosts_file(host) {
            let of = |is_v4: bool| {
                let own: Vec<_> = found.iter().copied().filter(|ip| ip.is_ipv4() == is_v4).collect();
                if own.is_empty() {
                    Reply::Nothing("not in /etc/hosts")
                } else {
                    Reply::Records(own, Duration::MAX)
                }
            };
            return (v4.then(|| of(true)), v6.then(|| of(false)));
        }
        let ask = |wanted: bool, kind| async move {
            if wanted { Some(self.ask(host, kind, answer::addresses).await) } else { None }
        };
        tokio::join!(ask(v4, RecordType::A), ask(v6, RecordType::AAAA))
    }

    /// The SRV records of a name.
    pub async fn services(&self, name: &str) -> Reply<Service> {
        self.ask(name, RecordType::SRV, answer::services).await
    }

    async fn ask<T>(&self, name: &str, kind: RecordType, read: fn(&Name, &[Record]) -> Reply<T>) -> Reply<T> {
        match timeout(self.timeout, self.servers.lookup(name, kind)).await {
            Err(_) => Reply::Failed(NO_ANSWER.to_string()),
            Ok(Err(error)) => answer::failure(&error),
            Ok(Ok(found)) => read(found.query().name(), found.answers()),
        }
    }

    /// A name that is in the file at all is not asked for elsewhere.
    fn in_hosts_file(&self, host: &str) -> Option<Vec<IpAddr>> {
        let name = Name::from_utf8(host).ok()?;
        let of = |kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
        let found: Vec<IpAddr> = [of(RecordType::A), of(RecordType::AAAA)]
            .into_iter()
            .flatten()
            .flat_map(|found| {
                found.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>()
            })
            .collect();
        (!found.is_empty()).then_some(found)
    }
}

fn asking(servers: &[SocketAddr]) -> ResolverConfig {
    let server = |address: &SocketAddr| {
        let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
            let mut connection = ConnectionConfig::new(protocol);
            connection.port = address.port();
            connection
        });
        NameServerConfig::new(address.ip(), true, connections.to_vec())
    };
    ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(server).collect())
}

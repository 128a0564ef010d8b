//! What one listener does in a handshake, for each name that a client may ask for.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};

use super::digest::digest;
use super::policies::{HostPolicies, identity};
use super::resolver::{Resolver, shelf};
use super::tickets::Tickets;
use crate::message::Http2;

use super::{Authority, ClientDemand, Mark, Store, TlsOptions, TlsVersion, provider};

/// Of one listener and configuration; never changed.
#[derive(Debug)]
pub struct Handshakes {
    own: Policy,
    /// By number of the demand in `hosts`.
    of_hosts: Vec<Policy>,
    hosts: Arc<HostPolicies>,
    resolver: Arc<Resolver>,
}

/// One way to do a handshake.
#[derive(Debug, Clone)]
pub struct Policy {
    /// All but the tickets.
    config: ServerConfig,
    tickets: Tickets,
    /// `None`: the listener's own.
    pub mark: Option<Mark>,
    /// All that it asks for, the listener's part of it included.
    pub effective: Mark,
    /// Whether clients are asked for a certificate, and need one.
    pub clients: Option<ClientDemand>,
}

impl Policy {
    /// For one connection: its tickets know when its session began.
    pub fn config(&self) -> Arc<ServerConfig> {
        let mut config = self.config.clone();
        config.ticketer = Arc::new(self.tickets.of_connection());
        Arc::new(config)
    }
}

/// No certificate is for that name, and the listener gives no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownName;

impl Handshakes {
    pub fn build(options: &TlsOptions, hosts: &Arc<HostPolicies>, store: &Store) -> Handshakes {
        let resolver = Resolver { current: store.current(), unknown_sni: options.unknown_sni };
        let resolver = Arc::new(resolver);
        let own = options.client_auth.as_ref().map(|options| store.authority(options));
        let ring = store.ring(options.ticket_keys.as_deref());
        let policy = |mark: Option<Mark>, authority: Option<&Arc<Authority>>, min_version| {
            let config = base(min_version, authority, resolver.clone(), options.http2);
            let effective = identity("listener", authority.map(Arc::as_ref), Some(min_version));
            let parts = [effective.as_slice(), mark.as_ref().map_or(&[][..], |mark| &mark.0)];
            let bound = digest("tickets", parts);
            let tickets = Tickets::new(ring.clone(), bound, authority.is_some());
            let clients = authority.map(|authority| match authority.verifier.client_auth_mandatory() {
                true => ClientDemand::Required,
                false => ClientDemand::Optional,
            });
            Policy { config, tickets, mark, effective: Mark(effective), clients }
        };
        let of_hosts = hosts.demands().iter().map(|demand| {
            let authority = demand.authority.as_ref().or(own.as_ref());
            // Never less than the listener asks of everybody.
            let min_version =
                demand.min_version.map_or(options.min_version, |min| min.max(options.min_version));
            policy(Some(demand.mark), authority, min_version)
        });
        let of_hosts = of_hosts.collect();
        Handshakes {
            own: policy(None, own.as_ref(), options.min_version),
            of_hosts,
            hosts: hosts.clone(),
            resolver,
        }
    }

    /// The policy for the name in a ClientHello: of the exact host, else of the wildcard, else the
    /// listener's own.
    pub fn choose(&self, server_name: Option<&str>) -> Result<&Policy, UnknownName> {
        if self.resolver.rejects(&shelf(&self.resolver.current), server_name) {
            return Err(UnknownName);
        }
        let number = server_name.and_then(|name| self.hosts.find(name.as_bytes()));
        Ok(number.and_then(|number| self.of_hosts.get(number)).unwrap_or(&self.own))
    }

    /// The listener's own policy.
    pub fn own(&self) -> &Policy {
        &self.own
    }

    /// The only policy there is: then nobody needs to look into the hello first. A name that is to be
    /// rejected then ends the handshake where its certificate is looked for.
    pub fn only(&self) -> Option<&Policy> {
        self.of_hosts.is_empty().then_some(&self.own)
    }
}

/// All but the tickets.
fn base(
    min_version: TlsVersion,
    authority: Option<&Arc<Authority>>,
    resolver: Arc<Resolver>,
    http2: Http2,
) -> ServerConfig {
    let versions: &[&rustls::SupportedProtocolVersion] = match min_version {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let verifier =
        authority.map_or_else(WebPkiClientVerifier::no_client_auth, |authority| authority.verifier.clone());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("the provider has suites of both versions")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver);
    let http1 = b"http/1.1".to_vec();
    let h2 = b"h2".to_vec();
    config.alpn_protocols = match http2 {
        Http2::Off => vec![http1],
        Http2::Beside => vec![h2, http1],
        Http2::Only => vec![h2],
    };
    // Sessions live in tickets only: nothing here grows with clients, and any worker can resume.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 2;
    // A request in early data can be replayed (RFC 8470 section 3).
    config.max_early_data_size = 0;
    config
}

//! How many connections may be open, over all workers: in all, and of one client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::message::network;

/// Counts open connections. The maxima come with each question, since a reload may change them.
#[derive(Debug, Default)]
pub struct ConnectionLimits {
    open: Arc<AtomicUsize>,
    /// By client; kept only while a limit per client is set. Nothing is half done when a holder panics, so
    /// poison is passed over: a ticket is also given back while a panic ends its connection.
    clients: Mutex<HashMap<IpAddr, usize>>,
}

/// The place of one open connection.
#[derive(Debug)]
pub struct Ticket {
    limits: Arc<ConnectionLimits>,
    /// It is one of all that are open.
    counts: bool,
    client: Option<IpAddr>,
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Process,
    Client,
}

impl ConnectionLimits {
    /// A place for a connection of `client`; a maximum of 0 per client is none.
    pub fn enter(
        self: &Arc<Self>,
        client: IpAddr,
        max: usize,
        max_per_client: usize,
    ) -> Result<Ticket, Full> {
        let open = self.open.fetch_add(1, Relaxed) + 1;
        // The ticket counts from here on: dropping it takes the place back.
        let mut ticket = Ticket { limits: self.clone(), counts: true, client: None };
        if open > max {
            return Err(Full::Process);
        }
        if max_per_client > 0 {
            ticket.client = Some(self.count(client, max_per_client).ok_or(Full::Client)?);
        }
        Ok(ticket)
    }

    /// A place beside the connection's own, for a client that shows only later; `None` when it has all that it may.
    pub fn enter_client(self: &Arc<Self>, client: IpAddr, max_per_client: usize) -> Option<Ticket> {
        let client = match max_per_client {
            0 => None,
            max => Some(self.count(client, max)?),
        };
        Some(Ticket { limits: self.clone(), counts: false, client })
    }

    /// By what it is counted.
    fn count(&self, client: IpAddr, max: usize) -> Option<IpAddr> {
        let key = network(client);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let count = clients.entry(key).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(key)
    }

    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// The number of open connections, for whoever shows it.
    pub fn counter(&self) -> Arc<AtomicUsize> {
        self.open.clone()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.counts {
            self.limits.open.fetch_sub(1, Relaxed);
        }
        let Some(client) = self.client else { return };
        let mut clients = self.limits.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = clients.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_given_back() {
        let limits = Arc::new(ConnectionLimits::default());
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        let first = limits.enter(client, 3, 1).unwrap();
        assert_eq!(limits.enter(client, 3, 1).unwrap_err(), Full::Client);
        let _second = limits.enter(other, 2, 1).unwrap();
        assert_eq!(limits.enter("192.0.2.3".parse().unwrap(), 2, 1).unwrap_err(), Full::Process);
        drop(first);
        assert_eq!(limits.open(), 1);
        assert!(limits.enter(client, 3, 1).is_ok());
    }

    #[test]
    fn a_client_that_shows_later_counts_beside_its_connection() {
        let limits = Arc::new(ConnectionLimits::default());
        let (proxy, client): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        let (_one, _two) = (limits.enter(proxy, 9, 0).unwrap(), limits.enter(proxy, 9, 0).unwrap());
        let place = limits.enter_client(client, 1).unwrap();
        assert!(limits.enter_client(client, 1).is_none() && limits.enter_client(client, 0).is_some());
        assert_eq!(limits.open(), 2);
        drop(place);
        assert!(limits.enter_client(client, 1).is_some());
    }

    #[test]
    fn an_ipv6_client_counts_by_its_network() {
        let limits = Arc::new(ConnectionLimits::default());
        let _first = limits.enter("2001:db8::1".parse().unwrap(), 9, 1).unwrap();
        assert_eq!(limits.enter("2001:db8::ffff".parse().unwrap(), 9, 1).unwrap_err(), Full::Client);
        assert!(limits.enter("2001:db8:0:1::1".parse().unwrap(), 9, 1).is_ok());
    }
}

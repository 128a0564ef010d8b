//! The right to have one connection open to an endpoint.
//!
//! There are `max_connections` of them over all workers. A connection that requests share belongs to its worker and
//! cannot be handed over, so where requests share, each worker can have one at any time: the limit is never less
//! than the number of workers, and one right is kept for each worker that has none.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::endpoint::Endpoint;
use super::pool::{self, Waiter};
use crate::wire::worker;

/// The right to have one connection open; dropping it lets the next request that waits open one.
#[derive(Debug)]
pub struct Permit {
    pub(super) endpoint: Arc<Endpoint>,
    worker: usize,
    /// Whoever drops it looks for waiting requests by itself.
    pub(super) quiet: bool,
}

impl Permit {
    /// For a connection of this worker, while that is within the limit.
    pub(super) fn reserve(endpoint: &Arc<Endpoint>) -> Option<Permit> {
        let permit = Permit::reserve_for(worker::index(), endpoint)?;
        if endpoint.approach.may_share() {
            // Between the two counts this one was counted twice, as taken and as kept for this worker.
            pool::grant_permits(endpoint);
        }
        Some(permit)
    }

    fn reserve_for(worker: usize, endpoint: &Arc<Endpoint>) -> Option<Permit> {
        let most = most_for(worker, endpoint);
        let open = &endpoint.lobby.open;
        open.fetch_update(AcqRel, Acquire, |open| (open < most).then_some(open + 1)).ok()?;
        // Behind the count of all, and taken back before it: what is kept for others is never given away.
        count(endpoint, worker, 1);
        Some(Permit { endpoint: endpoint.clone(), worker, quiet: false })
    }

    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// The connection belongs to this worker from now on.
    pub(super) fn take_over(&mut self) {
        count(&self.endpoint, self.worker, -1);
        self.worker = worker::index();
        count(&self.endpoint, self.worker, 1);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        count(&self.endpoint, self.worker, -1);
        self.endpoint.lobby.open.fetch_sub(1, AcqRel);
        if !self.quiet {
            pool::grant_permits(&self.endpoint);
        }
    }
}

/// Takes the request out of the queue that waits longest of those whose worker may open a connection now.
pub(super) fn next_permitted(
    endpoint: &Arc<Endpoint>,
    queue: &mut VecDeque<Waiter>,
) -> Option<(Waiter, Permit)> {
    let mut refused = Vec::new();
    let workers = endpoint.lobby.mailboxes.len();
    for index in 0..queue.len() {
        let worker = queue.get(index)?.worker;
        if refused.contains(&worker) {
            continue;
        }
        if let Some(permit) = Permit::reserve_for(worker, endpoint) {
            return queue.remove(index).map(|waiter| (waiter, permit));
        }
        refused.push(worker);
        if !shares(endpoint) || refused.len() == workers {
            break;
        }
    }
    None
}

/// A connection of this worker can make room for one of another's: it is not the one that is kept for it.
pub(super) fn may_spare(endpoint: &Endpoint) -> bool {
    endpoint.lobby.shared.get(worker::index()).is_some_and(|line| line.permits.load(Relaxed) > 1)
}

/// Where a handshake has agreed on HTTP/1, connections can be handed over.
fn shares(endpoint: &Endpoint) -> bool {
    endpoint.approach.may_share() && !endpoint.agreed_http1.load(Relaxed)
}

fn most_for(worker: usize, endpoint: &Endpoint) -> u32 {
    let max = endpoint.max_connections();
    if !shares(endpoint) {
        return max;
    }
    let held = endpoint.lobby.shared.iter().map(|line| line.permits.load(Acquire));
    most_of_shared(max, held, worker)
}

/// How many connections may be open when this worker opens one; `held` are those that each worker has.
fn most_of_shared(max: u32, held: impl Iterator<Item = u32>, worker: usize) -> u32 {
    let (mut workers, mut others_without, mut has_none) = (0, 0, false);
    for (index, held) in held.enumerate() {
        workers += 1;
        match held {
            0 if index == worker => has_none = true,
            0 => others_without += 1,
            _ => {}
        }
    }
    let most = max.max(workers);
    if has_none { most } else { most.saturating_sub(others_without) }
}

fn count(endpoint: &Endpoint, worker: usize, change: i32) {
    if let Some(line) = endpoint.lobby.shared.get(worker) {
        match change {
            1.. => line.permits.fetch_add(change.unsigned_abs(), AcqRel),
            _ => line.permits.fetch_sub(change.unsigned_abs(), AcqRel),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_connection_is_kept_for_each_worker() {
        for (max, held, worker, most) in [
            (100, &[0, 0][..], 0, 100),
            (100, &[1, 0], 0, 99),
            (100, &[1, 0], 1, 100),
            (100, &[99, 1], 0, 100),
            (1, &[0], 0, 1),
            (1, &[1], 0, 1),
            (1, &[0, 0, 0], 2, 3),
            (1, &[1, 0, 0], 0, 1),
            (1, &[1, 0, 0], 1, 3),
            (4, &[3, 1, 0], 0, 3),
            (4, &[2, 1, 1], 1, 4),
        ] {
            assert_eq!(most_of_shared(max, held.iter().copied(), worker), most, "{max} {held:?} {worker}");
        }
    }

    /// Whatever the order in which they ask, nobody is without one, and the limit holds.
    #[test]
    fn a_greedy_worker_leaves_the_others_theirs() {
        for (max, workers) in [(1, 4), (4, 4), (5, 4), (100, 3)] {
            for greedy in 0..workers {
                let mut held = vec![0u32; workers];
                let mut open = 0;
                for worker in std::iter::repeat_n(greedy, 200).chain(0..workers) {
                    if open < most_of_shared(max, held.iter().copied(), worker) {
                        held[worker] += 1;
                        open += 1;
                    }
                }
                assert!(held.iter().all(|&held| held > 0), "{max} {held:?}");
                assert_eq!(open, max.max(workers as u32), "{max} {held:?}");
            }
        }
    }
}

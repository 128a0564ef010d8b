//! Requests of one route shared out between upstreams: a few percent to a new version, the rest to the old.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http1::RequestHead;

use super::Upstream;
use super::generator::GOLDEN;
use super::pin::HashOn;

/// `split`, `split_by` and `split_override` of a route: names of upstreams that exist, shares of which at
/// least one is more than 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitOptions {
    pub shares: Vec<(String, u32)>,
    /// What keeps a client at its upstream; by turns without it.
    pub by: Option<HashOn>,
    pub over: Option<OverrideOptions>,
}

/// A request can ask for one of the upstreams, or for not being sent there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideOptions {
    /// A header, cookie or parameter with the value `always` or `never`.
    pub on: HashOn,
    pub upstream: String,
}

impl SplitOptions {
    /// The place of the share that a request falls into; `turn` counts those that go by turns, and without
    /// it these have none.
    pub fn place_of(&self, head: &RequestHead, client: IpAddr, turn: Option<u64>) -> Option<usize> {
        let wish = self.over.as_ref().map_or(Wish::None, |over| {
            let place = self.shares.iter().position(|(name, _)| *name == over.upstream);
            place.map_or(Wish::None, |place| wish(over.on.value(head), place))
        });
        let point = match (&self.by, wish, turn) {
            (Some(on), ..) => on.key(head, client),
            // Multiples of it are spread evenly: 95 of 100 turns go to a share of 95 %, well mixed.
            (None, _, Some(turn)) => turn.wrapping_mul(GOLDEN),
            (None, Wish::Always(_), None) => 0,
            (None, _, None) => return None,
        };
        share_of(&self.shares, point, wish)
    }
}

/// It, ready to choose.
#[derive(Debug)]
pub struct Split {
    options: SplitOptions,
    /// One for each share.
    upstreams: Vec<Arc<Upstream>>,
    turn: AtomicU64,
}

impl Split {
    pub fn new(options: SplitOptions, upstreams: Vec<Arc<Upstream>>) -> Split {
        Split { options, upstreams, turn: AtomicU64::new(0) }
    }

    /// The upstream for a request.
    pub fn choose(&self, head: &RequestHead, client: IpAddr) -> Option<&Arc<Upstream>> {
        let turn = self.options.by.is_none().then(|| self.turn.fetch_add(1, Relaxed));
        self.upstreams.get(self.options.place_of(head, client, turn)?)
    }
}

/// What a request asks for; the number is the place of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    None,
    Always(usize),
    Never(usize),
}

fn wish(value: Option<&[u8]>, place: usize) -> Wish {
    match value {
        Some(value) if value.eq_ignore_ascii_case(b"always") => Wish::Always(place),
        Some(value) if value.eq_ignore_ascii_case(b"never") => Wish::Never(place),
        _ => Wish::None,
    }
}

/// The place of the share that `point` falls into, with all points laid out over all shares. When a share at
/// the end grows, what fell into it before still does.
fn share_of(shares: &[(String, u32)], point: u64, wish: Wish) -> Option<usize> {
    if let Wish::Always(place) = wish {
        return Some(place);
    }
    let open = |place: usize| wish != Wish::Never(place);
    let weight = |place: usize, share: u32| if open(place) { u64::from(share) } else { 0 };
    let total: u64 = shares.iter().enumerate().map(|(place, (_, share))| weight(place, *share)).sum();
    let mut at = ((u128::from(point) * u128::from(total)) >> 64) as u64;
    for (place, (_, share)) in shares.iter().enumerate() {
        let share = weight(place, *share);
        if at < share {
            return Some(place);
        }
        at -= share;
    }
    // Everything is turned away: then a share that is not wanted is better than no answer.
    shares.iter().position(|(_, share)| *share > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(shares: &[u32]) -> Vec<(String, u32)> {
        shares.iter().map(|share| (String::new(), *share)).collect()
    }

    fn turns(shares: &[u32], count: u64, wish: Wish) -> Vec<usize> {
        let mut counts = vec![0; shares.len()];
        let shares = self::tests::shares(shares);
        for turn in 0..count {
            let place = share_of(&shares, turn.wrapping_mul(GOLDEN), wish).expect("a share");
            counts[place] += 1;
        }
        counts
    }

    #[test]
    fn turns_follow_the_shares() {
        for count in [100, 1000] {
            let counts = turns(&[95, 5], count, Wish::None);
            let wanted = count as usize / 20;
            assert!(counts[1].abs_diff(wanted) <= 1, "{counts:?}");
        }
        assert_eq!(turns(&[1, 0], 50, Wish::None), [50, 0]);
        assert_eq!(turns(&[1, 1, 2], 4000, Wish::None).iter().sum::<usize>(), 4000);
    }

    #[test]
    fn a_wish_goes_before_the_shares() {
        assert_eq!(turns(&[95, 5], 20, Wish::Always(1)), [0, 20]);
        assert_eq!(turns(&[95, 5], 100, Wish::Never(1)), [100, 0]);
        // Also for a share of nothing: testers see what nobody else does.
        assert_eq!(turns(&[100, 0], 20, Wish::Always(1)), [0, 20]);
        assert_eq!(turns(&[100, 0], 20, Wish::Never(0)), [20, 0]);
    }

    #[test]
    fn a_share_that_grows_keeps_who_it_had() {
        for point in (0..10_000u64).map(|turn| turn.wrapping_mul(GOLDEN)) {
            if share_of(&shares(&[95, 5]), point, Wish::None) == Some(1) {
                assert_eq!(share_of(&shares(&[90, 10]), point, Wish::None), Some(1));
            }
        }
    }

    #[test]
    fn wishes_are_two_words() {
        assert_eq!(wish(Some(b"always"), 1), Wish::Always(1));
        assert_eq!(wish(Some(b"Never"), 1), Wish::Never(1));
        assert_eq!(wish(Some(b"1"), 1), Wish::None);
        assert_eq!(wish(None, 1), Wish::None);
    }
}

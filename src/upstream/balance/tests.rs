//! What holds for every kind of balance, and what the tests of each use.

use proptest::prelude::*;

use super::*;

pub(super) fn candidates(weights: &[u32]) -> Vec<Candidate> {
    let candidate = |(index, weight): (usize, &u32)| Candidate {
        identity: hash_key(format!("10.0.0.{index}:80").as_bytes()),
        weight: *weight,
    };
    weights.iter().enumerate().map(candidate).collect()
}

/// Lets `look` see these loads and latencies; latencies that are left out are unknown.
pub(super) fn view<T>(
    loads: &[u32],
    latencies: &[u32],
    usable: &dyn Fn(usize) -> bool,
    look: impl FnOnce(&View<'_>) -> T,
) -> T {
    look(&View {
        load: &|index| loads[index],
        latency: &|index| latencies.get(index).copied().unwrap_or(0),
        usable,
    })
}

const KINDS: [BalanceKind; 7] = [
    BalanceKind::RoundRobin,
    BalanceKind::LeastConnections,
    BalanceKind::Random,
    BalanceKind::TwoChoices(Measure::Load),
    BalanceKind::TwoChoices(Measure::Time),
    BalanceKind::Hash(Bound::None),
    BalanceKind::Hash(Bound::Percent(125)),
];

#[test]
fn nobody_is_picked_from_an_empty_list() {
    for kind in KINDS {
        let picked = view(&[], &[], &|_| true, |view| Balancer::new(kind, &[], 1).pick(view, 1));
        assert_eq!(picked, None, "{kind:?}");
    }
}

#[test]
fn the_least_and_the_greatest_weight_are_no_trouble() {
    for kind in KINDS {
        let mut balancer = Balancer::new(kind, &candidates(&[0, u32::MAX]), 1);
        for key in 0..1000 {
            let picked = view(&[u32::MAX; 2], &[u32::MAX; 2], &|_| true, |view| balancer.pick(view, key));
            assert!(picked.is_some_and(|index| index < 2), "{kind:?}");
        }
    }
}

proptest! {
    #[test]
    fn somebody_usable_is_picked_if_there_is_one(
        endpoints in prop::collection::vec((any::<u32>(), any::<u32>(), 0_u32..3), 1..70),
        usable in prop::collection::vec(prop::collection::vec(prop::bool::weighted(0.2), 70), 1..20),
        seed: u64,
        key: u64,
    ) {
        let weights: Vec<_> = endpoints.iter().map(|endpoint| endpoint.0).collect();
        let loads: Vec<_> = endpoints.iter().map(|endpoint| endpoint.1).collect();
        let latencies: Vec<_> = endpoints.iter().map(|endpoint| endpoint.2).collect();
        for kind in KINDS {
            let mut balancer = Balancer::new(kind, &candidates(&weights), seed);
            for usable in &usable {
                let picked = view(&loads, &latencies, &|at| usable[at], |view| balancer.pick(view, key));
                let possible = usable[..weights.len()].contains(&true);
                prop_assert_eq!(picked.is_some(), possible, "{:?}", kind);
                prop_assert!(picked.is_none_or(|index| usable[index]), "{:?}", kind);
            }
        }
    }
}

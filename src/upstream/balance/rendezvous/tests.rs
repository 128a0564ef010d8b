use proptest::prelude::*;

use super::super::hash_key;
use super::super::tests::{candidates, view};
use super::*;

/// Where so many keys go while nothing is loaded.
fn owners(candidates: &[Candidate], keys: u64) -> Vec<u64> {
    let mut rendezvous = Rendezvous::new(candidates, Bound::default());
    view(&vec![0; candidates.len()], &[], &|_| true, |view| {
        (0..keys)
            .map(|key| rendezvous.pick(view, hash_key(&key.to_le_bytes())).expect("all are usable"))
            .map(|index| candidates[index].identity)
            .collect()
    })
}

#[test]
fn owners_never_change() {
    // Several versions share the users of one site: what these keys belong to is for ever. Computed apart from
    // this code.
    let candidates: Vec<_> = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "app.example:8080"]
        .iter()
        .enumerate()
        .map(|(index, name)| Candidate { identity: hash_key(name.as_bytes()), weight: 1 + index as u32 })
        .collect();
    let mut rendezvous = Rendezvous::new(&candidates, Bound::None);
    let picked: Vec<_> = view(&[0; 4], &[], &|_| true, |view| {
        (0..20_u8).filter_map(|key| rendezvous.pick(view, hash_key(&[key]))).collect()
    });
    assert_eq!(picked, [2, 3, 2, 2, 3, 2, 1, 3, 3, 2, 3, 2, 2, 3, 1, 3, 2, 1, 1, 2]);
}

#[test]
fn shares_are_the_weights() {
    let cases: [&[u32]; 6] = [&[1; 2], &[1; 10], &[5, 2, 1], &[100, 1, 1, 50], &[65_535, 30_000], &[3; 100]];
    for weights in cases {
        let candidates = candidates(weights);
        let owners = owners(&candidates, 200_000);
        let total: u32 = weights.iter().sum();
        for candidate in &candidates {
            let count = owners.iter().filter(|owner| **owner == candidate.identity).count() as f64;
            let expected = 200_000.0 * f64::from(candidate.weight) / f64::from(total);
            assert!((count / expected - 1.0).abs() < 0.1, "{weights:?}: {count} instead of {expected}");
        }
    }
}

#[test]
fn only_the_ratio_of_weights_counts() {
    // A plan that starts somebody slowly scales all weights, and reduces them when it can.
    let scaled = |factor: u32| owners(&candidates(&[5, 2, 1, 7].map(|weight| weight * factor)), 20_000);
    assert!(scaled(1) == scaled(1000) && scaled(1) == scaled(65_537));
}

#[test]
fn remembered_owners_are_the_computed_ones() {
    let many = candidates(&[2; FEW + 1]);
    let mut rendezvous = Rendezvous::new(&many, Bound::None);
    assert_eq!(rendezvous.owners.len(), SLOTS);
    view(&[0; FEW + 1], &[], &|_| true, |view| {
        for key in (0..2_000).chain(0..2_000).map(mix) {
            let computed = rendezvous.best(mix(key) as usize % SLOTS, |_| true);
            assert_eq!(rendezvous.pick(view, key), computed);
        }
    });
}

#[test]
fn a_full_candidate_passes_keys_on() {
    // (loads, bound in percent, whether the owner, candidate 0, gets one more)
    let cases: [(&[u32], Bound, bool); 8] = [
        (&[0, 0, 0], Bound::Percent(125), true),
        (&[7, 0, 0], Bound::Percent(125), true),
        (&[8, 0, 0], Bound::Percent(125), false),
        (&[8, 0, 0], Bound::None, true),
        // 1.25 x 61 / 3 = 25.4: up to 27 with this one.
        (&[26, 17, 17], Bound::Percent(125), true),
        (&[27, 17, 16], Bound::Percent(125), false),
        (&[27, 17, 16], Bound::Percent(200), true),
        (&[22, 19, 19], Bound::Percent(1), false),
    ];
    let candidates = candidates(&[1; 3]);
    for (loads, bound, expected) in cases {
        let mut rendezvous = Rendezvous::new(&candidates, bound);
        let key = (0..).find(|key| rendezvous.best(mix(*key) as usize % SLOTS, |_| true) == Some(0));
        let picked = view(loads, &[], &|_| true, |view| rendezvous.pick(view, key.expect("some key")));
        assert_eq!(picked == Some(0), expected, "{loads:?} {bound:?} {picked:?}");
    }
}

#[test]
fn one_key_fills_nobody_beyond_the_bound() {
    let weights = [1, 2, 1, 4];
    let mut rendezvous = Rendezvous::new(&candidates(&weights), Bound::Percent(125));
    let mut loads = [0_u32; 4];
    for total in 0..5_000_u32 {
        let picked = view(&loads, &[], &|_| true, |view| rendezvous.pick(view, 7)).expect("all are usable");
        loads[picked] += 1;
        let fair = f64::from(total + 1) * f64::from(weights[picked]) / 8.0;
        let most = (1.0 + (1.25 * fair).ceil()).max(f64::from(ALWAYS_ROOM));
        assert!(f64::from(loads[picked]) <= most, "{loads:?}");
    }
}

#[test]
fn many_candidates_keep_the_bound_nearly() {
    // Loads are summed now and then only; what came since is not counted.
    let mut rendezvous = Rendezvous::new(&candidates(&[1; 160]), Bound::Percent(125));
    let mut loads = vec![0_u32; 160];
    for _ in 0..16_000 {
        let picked = view(&loads, &[], &|_| true, |view| rendezvous.pick(view, 7)).expect("all are usable");
        loads[picked] += 1;
    }
    assert!(loads.iter().all(|load| *load <= 127), "{loads:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn only_the_keys_of_who_leaves_move(
        weights in prop::collection::vec(1_u32.., 2..50),
        leaves: prop::sample::Index,
        rotated: prop::sample::Index,
    ) {
        let all = candidates(&weights);
        let gone = all[leaves.index(all.len())].identity;
        let mut rest: Vec<_> = all.iter().copied().filter(|candidate| candidate.identity != gone).collect();
        // The order of the list is of no account.
        let middle = rotated.index(rest.len());
        rest.rotate_left(middle);
        for (before, after) in owners(&all, 2_000).into_iter().zip(owners(&rest, 2_000)) {
            prop_assert!(before == after || before == gone);
        }
    }

    #[test]
    fn who_is_not_usable_is_as_good_as_gone(
        weights in prop::collection::vec(1_u32..=100, 2..40),
        away: prop::sample::Index,
    ) {
        let all = candidates(&weights);
        let away = away.index(all.len());
        let mut rest = all.clone();
        rest.remove(away);
        let (mut whole, mut smaller) =
            (Rendezvous::new(&all, Bound::default()), Rendezvous::new(&rest, Bound::default()));
        let loads = vec![0; all.len()];
        for key in 0..500 {
            let first = view(&loads, &[], &|index| index != away, |view| whole.pick(view, key));
            let second = view(&loads, &[], &|_| true, |view| smaller.pick(view, key));
            prop_assert_eq!(first.map(|index| all[index]), second.map(|index| rest[index]));
        }
    }
}

//! Picking an endpoint allocates nothing, whatever the balance and however few are usable.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use palisade::upstream::balance::{BalanceKind, Balancer, Bound, Candidate, Measure, View};

/// `unsafe` because an allocator is; it passes everything on to the one of the system.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u32> = const { Cell::new(0) };
}

// SAFETY: all is done by `System`; the counter is a plain cell without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_pick_allocates_nothing() {
    let kinds = [
        BalanceKind::RoundRobin,
        BalanceKind::LeastConnections,
        BalanceKind::Random,
        BalanceKind::TwoChoices(Measure::Load),
        BalanceKind::TwoChoices(Measure::Time),
        BalanceKind::Hash(Bound::default()),
    ];
    for kind in kinds {
        for count in [1, 3, 1000] {
            let candidates: Vec<_> =
                (0..count).map(|index| Candidate { identity: index, weight: 1 + index as u32 % 9 }).collect();
            let mut balancer = Balancer::new(kind, &candidates, 1);
            let last = candidates.len() - 1;
            for only_one in [false, true] {
                let view = View {
                    load: &|index| index as u32,
                    latency: &|index| index as u32,
                    usable: &|index| !only_one || index == last,
                };
                let before = ALLOCATIONS.get();
                let picked = (0..500).filter(|key| balancer.pick(&view, *key).is_some()).count();
                let allocations = ALLOCATIONS.get() - before;
                assert_eq!((picked, allocations), (500, 0), "{kind:?} of {count}");
            }
        }
    }
}

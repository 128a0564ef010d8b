//! The allocator of the process: mimalloc. The system's gives memory back late and locks between threads.
//!
//! This file has `unsafe`, though the crate `mimalloc` brings an allocator without: that one asks for an alignment
//! each time, which costs 30 instructions more than a block that is aligned for any word as it is. A request over
//! HTTP/2 takes nine blocks.

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned,
};

pub struct Mimalloc;

/// Every block is aligned to so many bytes, however small it is.
const ALIGNED_ANYWAY: usize = align_of::<u64>();

// SAFETY: blocks come from mimalloc alone and go back to it; each is as large as its layout says, and aligned for it:
// by what every block is, or because it was asked for.
unsafe impl GlobalAlloc for Mimalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, alignment) = (layout.size(), layout.align());
        // SAFETY: any size is allowed, and an alignment of a layout is a power of two.
        unsafe {
            if alignment <= ALIGNED_ANYWAY { mi_malloc(size) } else { mi_malloc_aligned(size, alignment) }
                .cast()
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, alignment) = (layout.size(), layout.align());
        // SAFETY: as in `alloc`.
        unsafe {
            if alignment <= ALIGNED_ANYWAY { mi_zalloc(size) } else { mi_zalloc_aligned(size, alignment) }
                .cast()
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller vouches that the block is one of ours and is not used any more.
        unsafe { mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let alignment = layout.align();
        // SAFETY: as in `alloc` and `dealloc`.
        unsafe {
            if alignment <= ALIGNED_ANYWAY {
                mi_realloc(block.cast(), size)
            } else {
                mi_realloc_aligned(block.cast(), size, alignment)
            }
            .cast()
        }
    }
}

//! An encoder of Brotli that is used again. The library has no reset, but gives all its memory back to an allocator
//! when it is told to end; ours keeps that for the next stream.

use std::any::{Any, TypeId};

use brotli::enc::BrotliAlloc;
use brotli::enc::encode::{
    BrotliEncoderDestroyInstance, BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct,
};
use brotli::{Allocator, SliceWrapper, SliceWrapperMut};

use super::encoder::{Broken, Step};

/// The window: 256 KiB, of which the library holds twice as much. Twice the window makes answers of 1 MiB one
/// percent smaller, and every stream larger by half a megabyte.
const WINDOW_BITS: u32 = 18;
/// The library takes a table of 4 MiB for bodies that are said to be longer, and loses more by it than it gains.
const MAX_HINT: u64 = (1 << 20) - 1;

pub struct Brotli {
    state: BrotliEncoderStateStruct<Memory>,
}

impl Brotli {
    pub fn new() -> Brotli {
        Brotli { state: BrotliEncoderStateStruct::new(Memory::default()) }
    }

    /// Begins a stream; `size` is how long it will be, if that is known.
    pub fn start(&mut self, quality: u32, size: Option<u64>) {
        BrotliEncoderDestroyInstance(&mut self.state);
        let memory = std::mem::take(&mut self.state.m8);
        self.state = BrotliEncoderStateStruct::new(memory);
        let hint = size.unwrap_or(0).min(MAX_HINT) as u32;
        self.state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_QUALITY, quality);
        self.state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGWIN, WINDOW_BITS);
        self.state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT, hint);
    }

    pub fn encode(&mut self, input: &[u8], step: Step, out: &mut Vec<u8>) -> Result<(), Broken> {
        let operation = match step {
            Step::More => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
            Step::Flush => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
            Step::Finish => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
        };
        let (mut left, mut at) = (input.len(), 0);
        loop {
            let before = (left, out.len());
            // Without room of ours it writes into memory of its own, from which it is taken without a copy more.
            let went_on = self.state.compress_stream(
                operation,
                &mut left,
                input,
                &mut at,
                &mut 0,
                &mut [],
                &mut 0,
                &mut None,
                &mut |_, _, _, _| (),
            );
            while self.state.has_more_output() {
                // All there is; what it gives may go on behind that.
                let mut count = 0;
                let ready = self.state.take_output(&mut count);
                out.extend_from_slice(ready.get(..count).ok_or(Broken)?);
            }
            let done = match step {
                Step::More | Step::Flush => left == 0,
                Step::Finish => self.state.is_finished(),
            };
            if went_on && done {
                return Ok(());
            }
            if !went_on || before == (left, out.len()) {
                return Err(Broken);
            }
        }
    }

    /// Bytes that it holds.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.state.m8.lent + self.state.m8.kept()
    }
}

/// Memory of one encoder, kept by what it is made of.
#[derive(Default)]
pub struct Memory {
    shelves: Vec<(TypeId, Box<dyn Shelf>)>,
    /// Bytes that are in use, as far as they were not just dropped.
    #[cfg(test)]
    lent: usize,
}

/// Cells of one type.
trait Shelf: Any {
    #[cfg(test)]
    fn size(&self) -> usize;
}

impl<T: 'static> Shelf for Vec<Cell<T>> {
    #[cfg(test)]
    fn size(&self) -> usize {
        self.iter().map(|cell| cell.0.capacity() * size_of::<T>()).sum()
    }
}

impl Memory {
    fn shelf<T: 'static>(&mut self) -> Option<&mut Vec<Cell<T>>> {
        let known = self.shelves.iter().position(|(of, _)| *of == TypeId::of::<T>());
        let at = known.unwrap_or_else(|| {
            self.shelves.push((TypeId::of::<T>(), Box::new(Vec::<Cell<T>>::new())));
            self.shelves.len() - 1
        });
        let shelf: &mut dyn Any = self.shelves.get_mut(at)?.1.as_mut();
        shelf.downcast_mut()
    }

    #[cfg(test)]
    fn kept(&self) -> usize {
        self.shelves.iter().map(|(_, shelf)| shelf.size()).sum()
    }
}

/// What the library calls allocated memory.
pub struct Cell<T>(Vec<T>);

impl<T> Default for Cell<T> {
    fn default() -> Cell<T> {
        Cell(Vec::new())
    }
}

impl<T> SliceWrapper<T> for Cell<T> {
    fn slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> SliceWrapperMut<T> for Cell<T> {
    fn slice_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Clone + Default + 'static> Allocator<T> for Memory {
    type AllocatedMemory = Cell<T>;

    /// The smallest that is large enough, or the largest, which then grows. The library relies on defaults in it.
    fn alloc_cell(&mut self, len: usize) -> Cell<T> {
        #[cfg(test)]
        {
            self.lent += len * size_of::<T>();
        }
        let kept = self.shelf::<T>().and_then(|shelf| {
            let fitness = |cell: &Cell<T>| {
                let capacity = cell.0.capacity();
                (capacity < len, if capacity < len { usize::MAX - capacity } else { capacity })
            };
            let best = shelf.iter().enumerate().min_by_key(|(_, cell)| fitness(cell))?.0;
            Some(shelf.swap_remove(best))
        });
        let Some(Cell(mut cells)) = kept else { return Cell(vec![T::default(); len]) };
        cells.clear();
        cells.resize(len, T::default());
        Cell(cells)
    }

    fn free_cell(&mut self, cell: Cell<T>) {
        #[cfg(test)]
        {
            self.lent = self.lent.saturating_sub(cell.0.len() * size_of::<T>());
        }
        if cell.0.capacity() > 0
            && let Some(shelf) = self.shelf::<T>()
        {
            shelf.push(cell);
        }
    }
}

impl BrotliAlloc for Memory {}

//! Who serves the streams of one connection: clerks, each at one request after another. What a clerk needed for one,
//! its future and its timer, is there for the next, and only those that have something to do are polled.
//!
//! A future for each request would be made on the stack and moved to the heap: 4 KiB, three times.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Clerks without a request that keep their memory, while others of their connection have one.
const KEPT: usize = 32;

/// The clerks of one connection, which get their requests of type `T` one by one.
pub struct Clerks<'c, T> {
    clerks: Vec<Clerk<'c, T>>,
    /// Those without a request. Who had one last gets the next: its memory is still at hand.
    free: Vec<usize>,
    /// Clerks that have memory.
    warm: usize,
    calls: Arc<Calls>,
}

struct Clerk<'c, T> {
    inbox: Rc<Inbox<T>>,
    /// Serves what comes into the inbox, and never ends.
    work: Option<Pin<Box<dyn Future<Output = ()> + 'c>>>,
    /// It has a request. Who has none is not polled: streams call once more when they are over.
    busy: bool,
    waker: Waker,
}

/// Where a clerk gets its requests from.
pub struct Inbox<T> {
    asked: Cell<Option<T>>,
    /// The last one is answered.
    done: Cell<bool>,
}

impl<T> Inbox<T> {
    /// The next request.
    pub async fn next(&self) -> T {
        poll_fn(|_| self.asked.take().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// It is answered.
    pub fn done(&self) {
        self.done.set(true);
    }
}

impl<'c, T> Clerks<'c, T> {
    /// For `most` requests at the same time at most.
    pub fn new(most: usize) -> Clerks<'c, T> {
        Clerks { clerks: Vec::new(), free: Vec::new(), warm: 0, calls: Arc::new(Calls::new(most)) }
    }

    /// Requests that are being served.
    pub fn busy(&self) -> usize {
        self.clerks.len() - self.free.len()
    }

    /// Gives a request to a clerk. `work` makes the future of one that has none: it takes requests out of its inbox
    /// for ever.
    pub fn serve<F: Future<Output = ()> + 'c>(&mut self, asked: T, work: impl FnOnce(Rc<Inbox<T>>) -> F) {
        let index = self.free.pop().unwrap_or_else(|| self.hire());
        let Some(clerk) = self.clerks.get_mut(index) else { return };
        clerk.inbox.asked.set(Some(asked));
        clerk.busy = true;
        if clerk.work.is_none() {
            clerk.work = Some(Box::pin(work(clerk.inbox.clone())));
            self.warm += 1;
        }
        self.calls.note(index);
    }

    fn hire(&mut self) -> usize {
        let index = self.clerks.len();
        let inbox = Rc::new(Inbox { asked: Cell::new(None), done: Cell::new(false) });
        let waker = Waker::from(Arc::new(Call { calls: self.calls.clone(), index }));
        self.clerks.push(Clerk { inbox, work: None, busy: false, waker });
        index
    }

    /// Lets all go on that can; gives how many requests were finished.
    pub fn poll(&mut self) -> usize {
        let mut finished = 0;
        for word in 0..self.calls.words.len() {
            let mut called = self.calls.take(word);
            while called != 0 {
                let index = word * 64 + called.trailing_zeros() as usize;
                called &= called - 1;
                finished += usize::from(self.poll_one(index));
            }
        }
        finished
    }

    /// Until [`Clerks::are_called`] is asked, the task that polls them need not be woken.
    pub fn attend(&self) {
        self.calls.told.store(true, SeqCst);
    }

    /// Whether one of them can go on. If not, the task of `cx` is woken when one can, and has to poll them then.
    pub fn are_called(&self, cx: &mut Context<'_>) -> bool {
        self.calls.listen(cx.waker());
        let called = self.calls.words.iter().any(|word| word.load(SeqCst) != 0);
        if called {
            self.attend();
        }
        called
    }

    fn poll_one(&mut self, index: usize) -> bool {
        let idle = self.free.len();
        let Some(clerk) = self.clerks.get_mut(index).filter(|clerk| clerk.busy) else { return false };
        let Some(work) = &mut clerk.work else { return false };
        let _ = work.as_mut().poll(&mut Context::from_waker(&clerk.waker));
        if !clerk.inbox.done.take() {
            return false;
        }
        clerk.busy = false;
        if idle < KEPT {
            self.free.push(index);
        } else {
            clerk.work = None;
            self.warm -= 1;
            // Those with memory have their turns first.
            self.free.insert(0, index);
        }
        true
    }

    /// Gives the memory of clerks back, while none has a request.
    pub fn rest(&mut self) {
        if self.busy() == 0 {
            self.clerks.clear();
            self.free.clear();
            self.warm = 0;
        }
    }

    /// Memory is kept that [`Clerks::rest`] would give back.
    pub fn is_warm(&self) -> bool {
        self.warm > 0
    }
}

/// Who has something to do. Whoever wakes a clerk may be on another thread.
struct Calls {
    /// A bit for each clerk.
    words: Box<[AtomicU64]>,
    /// The task that polls the clerks need not be woken: it was, or it looks for calls before it waits.
    told: AtomicBool,
    task: Mutex<Option<Waker>>,
}

struct Call {
    calls: Arc<Calls>,
    index: usize,
}

impl Calls {
    fn new(most: usize) -> Calls {
        let words = (0..most.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Calls { words, told: AtomicBool::new(true), task: Mutex::new(None) }
    }

    /// Calls are told to `waker` from here on.
    fn listen(&self, waker: &Waker) {
        // Before the look at the words: who calls behind that finds it unset, and tells.
        self.told.store(false, SeqCst);
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }

    /// The calls in one word, which is empty afterwards.
    fn take(&self, word: usize) -> u64 {
        let Some(word) = self.words.get(word) else { return 0 };
        if word.load(SeqCst) == 0 { 0 } else { word.swap(0, SeqCst) }
    }

    fn note(&self, index: usize) {
        if let Some(word) = self.words.get(index / 64) {
            word.fetch_or(1 << (index % 64), SeqCst);
        }
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.calls.note(self.index);
        if !self.calls.told.swap(true, SeqCst) {
            let task = self.calls.task.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(task) = task.as_ref() {
                task.wake_by_ref();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request that is finished after so many polls.
    type Polls = usize;

    async fn work(inbox: Rc<Inbox<Polls>>) {
        loop {
            let mut left = inbox.next().await;
            poll_fn(|cx| {
                left -= 1;
                if left == 0 {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            inbox.done();
        }
    }

    #[derive(Default)]
    struct Woken(AtomicU64);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn only_those_with_something_to_do_are_polled_and_each_to_its_end() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut cx = Context::from_waker(&waker);
        let mut clerks = Clerks::new(100);
        for polls in (1..=4).cycle().take(100) {
            clerks.serve(polls, work);
        }
        assert_eq!((clerks.busy(), clerks.are_called(&mut cx)), (100, true));
        let finished: Vec<usize> = (0..4).map(|_| clerks.poll()).collect();
        assert_eq!(finished, [25, 25, 25, 25]);
        assert_eq!((clerks.busy(), clerks.poll(), clerks.are_called(&mut cx)), (0, 0, false));
        assert_eq!(woken.0.load(SeqCst), 0, "who polls until nobody calls need not be woken");
    }

    #[test]
    fn memory_is_used_again_and_given_back() {
        let mut clerks = Clerks::new(100);
        for _ in 0..50 {
            for _ in 0..10 {
                clerks.serve(1, work);
            }
            assert_eq!(clerks.poll(), 10);
        }
        assert_eq!((clerks.clerks.len(), clerks.warm), (10, 10));
        for _ in 0..100 {
            clerks.serve(1, work);
        }
        clerks.rest();
        assert_eq!(clerks.busy(), 100, "nobody rests who is at work");
        assert_eq!(clerks.poll(), 100);
        assert_eq!(clerks.warm, KEPT);
        clerks.rest();
        assert!(!clerks.is_warm() && clerks.clerks.is_empty());
        clerks.serve(1, work);
        assert_eq!(clerks.poll(), 1);
    }

    #[test]
    fn a_call_from_another_thread_is_heard() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut cx = Context::from_waker(&waker);
        let mut clerks = Clerks::new(100);
        let outside = Rc::new(Cell::new(None));
        let seen = outside.clone();
        clerks.serve((), move |inbox: Rc<Inbox<()>>| async move {
            inbox.next().await;
            poll_fn(|cx| match seen.replace(Some(cx.waker().clone())) {
                None => Poll::Pending,
                Some(_) => Poll::Ready(()),
            })
            .await;
            inbox.done();
            std::future::pending().await
        });
        assert_eq!((clerks.poll(), clerks.are_called(&mut cx)), (0, false));
        let clerk: Waker = outside.take().unwrap();
        outside.set(Some(clerk.clone()));
        std::thread::spawn(move || (clerk.wake_by_ref(), clerk.wake())).join().unwrap();
        assert_eq!((woken.0.load(SeqCst), clerks.are_called(&mut cx)), (1, true));
        // While they are attended to, nobody wakes.
        clerks.attend();
        let clerk: Waker = outside.take().unwrap();
        outside.set(Some(clerk.clone()));
        clerk.wake();
        assert_eq!((woken.0.load(SeqCst), clerks.poll()), (1, 1));
    }
}

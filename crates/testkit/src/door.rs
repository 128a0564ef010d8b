//! Requests that the origin holds until the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use crate::{Address, Behaviour, Origin, Script, poll_until};

/// What held requests wait behind. Closed at first; once opened it stays so.
#[derive(Clone, Debug, Default)]
pub struct Door(Arc<AtomicBool>);

impl Door {
    pub fn open(&self) {
        self.0.store(true, SeqCst);
    }

    fn wait(&self) {
        poll_until(LONGEST, "the door to open", || self.0.load(SeqCst));
    }
}

impl Origin {
    /// The echo service, behind which requests whose target begins with `/held` wait until the door is opened.
    pub fn holding() -> (Origin, Door) {
        Origin::holding_at(Address::Tcp(([127, 0, 0, 1], 0).into()))
    }

    /// The same on `address`.
    pub fn holding_at(address: impl Into<Address>) -> (Origin, Door) {
        let door = Door::default();
        let behaviour = Behaviour::Scripted(Box::new({
            let door = door.clone();
            move |request, _| {
                if request.target.starts_with("/held") {
                    door.wait();
                }
                Script::echo(request)
            }
        }));
        (Origin::serve(address, behaviour), door)
    }
}

/// Longer than any test waits for the answer.
const LONGEST: Duration = Duration::from_secs(30);

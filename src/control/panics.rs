//! What a bug does to the process. A panic ends the connection that met it, and nobody else's. Where it would
//! leave a worker that looks alive and serves nobody, it ends the process, for a supervisor to start it again.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::future::Future;
use std::panic::PanicHookInfo;
use std::thread;

use crate::observe::notice;

/// Has panics told like everything else that an operator should know.
pub fn tell_as_notices() {
    std::panic::set_hook(Box::new(|info| notice(&said_of(info))));
}

fn said_of(info: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let mut said = format!("a bug: {} panicked", thread.name().unwrap_or("a thread"));
    if let Some(place) = info.location() {
        said.push_str(&format!(" at {place}"));
    }
    said.push_str(&format!(": {}", info.payload_as_str().unwrap_or("(no text)")));
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        said.push_str(&format!("\n{trace}"));
    }
    said
}

/// Something that the process cannot do without: a panic while this is held ends the process.
pub struct Essential(pub &'static str);

impl Drop for Essential {
    fn drop(&mut self) {
        if thread::panicking() {
            notice(&format!("the process ends, since it cannot go on without this: {}", self.0));
            std::process::abort();
        }
    }
}

/// The future, as something that the process cannot do without.
pub async fn essential<T>(what: &'static str, future: impl Future<Output = T>) -> T {
    let _held = Essential(what);
    future.await
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    /// In a process of its own, which ends.
    #[test]
    #[ignore = "for the test below"]
    fn essential_task_panics() {
        let runtime = tokio::runtime::LocalRuntime::new().unwrap();
        runtime.block_on(async {
            let task = tokio::task::spawn_local(essential("a test", async { panic!("on purpose") }));
            let _: Result<(), _> = task.await;
        });
    }

    #[test]
    fn a_panic_of_what_is_essential_ends_the_process() {
        let name = "control::panics::tests::essential_task_panics";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", name])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stderr).into_owned();
        assert_eq!(child.status.signal(), Some(6), "{said}");
        assert!(said.contains("cannot go on without this: a test"), "{said}");
    }
}

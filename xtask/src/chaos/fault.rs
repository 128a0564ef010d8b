//! What is done to an endpoint, and the order of it.

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL; brought back by a new process on the same port.
    Kill,
    /// SIGSTOP; brought back by SIGCONT.
    Stop,
    /// Each answer comes 500 ms late, those to health checks too.
    Slow,
    /// Each answer is a 500, those to health checks too.
    Fail,
}

impl Fault {
    pub const ALL: [Fault; 4] = [Fault::Kill, Fault::Stop, Fault::Slow, Fault::Fail];

    /// What is done, in a word.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Kill => "killed",
            Fault::Stop => "stopped",
            Fault::Slow => "slow",
            Fault::Fail => "answers 500",
        }
    }

    /// Its class in the picture.
    pub fn class(self) -> &'static str {
        match self {
            Fault::Kill => "kill",
            Fault::Stop => "stop",
            Fault::Slow => "slow",
            Fault::Fail => "fail",
        }
    }

    /// True when the endpoint answers nothing at all.
    pub fn is_death(self) -> bool {
        matches!(self, Fault::Kill | Fault::Stop)
    }
}

/// The endpoints by the names that the timeline gives them.
pub const NAMES: [&str; 3] = ["a", "b", "c"];

//! Hedged requests: when an answer is late, another endpoint is asked too, and the first good answer is taken.
//! Only for requests that ask and change nothing, and within the retry budget.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use http1::Method;
use tokio::time::Instant;

use super::attempt::{Missed, Obtained, ask};
use super::desk;
use super::forward::Facts;
use super::http1::Payload;
use super::{Sending, Upstream};
use crate::message::{Failure, Request, Response};
use crate::observe::Record;

/// When another endpoint is asked too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hedge {
    After(Duration),
    /// Later than so many percent of the upstream's answers of late.
    Quantile(u8),
}

/// Nothing is so late that it is worth a second request before this.
const EARLIEST: Duration = Duration::from_millis(1);

/// Of two DELETEs at the same time one may say 404; and a client that sticks to an endpoint would lose it.
pub(super) fn may_hedge(request: &Request<'_>, facts: &Facts<'_>, payload: &Payload<'_>) -> bool {
    let is_safe = matches!(request.head.method, Method::Get | Method::Head | Method::Options);
    let is_pinned = facts.tie.stick.is_some_and(|stick| stick.pin.is_some());
    is_safe && !is_pinned && payload.is_none() && request.upgrade.is_none()
}

impl Upstream {
    /// The first sending; and a second one beside it when its answer is late. The slot of the one that does
    /// not come back goes into `tried`.
    pub(super) async fn send_hedged<'c>(
        &self,
        obtained: Obtained,
        request: &Request<'c>,
        facts: &Facts<'_>,
        sending: &Sending,
        tried: &mut Vec<usize>,
        record: &mut Record,
    ) -> Result<Response<'c>, Missed<'c>> {
        let began = obtained.now;
        let endpoint = obtained.lane.endpoint().clone();
        let slot = endpoint.slot.index;
        let mut nothing = Payload::None;
        let mut first = pin!(ask(obtained, request, facts, &mut nothing, sending));
        let late = match sending.retry.hedge {
            Some(Hedge::After(delay)) => Some(delay),
            Some(Hedge::Quantile(percent)) => desk::quantile(&self.group, percent),
            None => None,
        };
        let Some(late) = late else { return self.learned(first.await, began) };
        let late = began + late.max(EARLIEST);
        if let Ok(outcome) = request.watchdog.limit(late, |cx| first.as_mut().poll(cx)).await {
            return self.learned(outcome, began);
        }
        let first_name = record.endpoint.clone();
        let choice = match self.may_ask_another(slot) {
            true => desk::choose(&self.group, &[slot], &facts.tie, record),
            false => Err(Failure::NoEndpoint),
        };
        let Ok(choice) = choice else { return self.learned(first.await, began) };
        choice.endpoint().counters.hedges.fetch_add(1, Relaxed);
        let mut nothing = Payload::None;
        let second = async {
            let obtained = choice.obtain(request, sending.timeouts).await?;
            ask(obtained, request, facts, &mut nothing, sending).await
        };
        let is_good = |response: &Response<'_>| response.head.status < 500;
        let (outcome, winner) = race(first, pin!(second), is_good).await;
        match winner {
            Winner::First => record.endpoint = first_name,
            Winner::Second => {
                // It was overtaken, and may not be heard of any more: that it is slow is known all the same.
                endpoint.observed.overtaken(began.elapsed());
                tried.push(slot);
            }
        }
        self.learned(outcome, began)
    }

    /// Notes how long an answer took, where that is what decides about lateness.
    fn learned<'c>(
        &self,
        outcome: Result<Response<'c>, Missed<'c>>,
        began: Instant,
    ) -> Result<Response<'c>, Missed<'c>> {
        if outcome.is_ok() {
            desk::note_latency(&self.group, began.elapsed());
        }
        outcome
    }

    fn may_ask_another(&self, slot: usize) -> bool {
        desk::has_other(&self.group, &[slot]) && desk::spend_retry(&self.group, Instant::now()).is_some()
    }
}

/// Whose outcome it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Winner {
    First,
    Second,
}

/// The first good outcome. One that is not so good waits for the other one, and is better than none.
async fn race<T, E>(
    mut first: impl Future<Output = Result<T, E>> + Unpin,
    mut second: impl Future<Output = Result<T, E>> + Unpin,
    is_good: impl Fn(&T) -> bool,
) -> (Result<T, E>, Winner) {
    let (mut first_is_over, mut second_is_over) = (false, false);
    let mut best: Option<(Result<T, E>, Winner)> = None;
    let consider = |outcome: Result<T, E>, winner, best: &mut Option<(Result<T, E>, Winner)>| {
        let good = outcome.as_ref().is_ok_and(&is_good);
        if good || outcome.is_ok() || !best.as_ref().is_some_and(|(known, _)| known.is_ok()) {
            *best = Some((outcome, winner));
        }
        good
    };
    poll_fn(|cx| {
        if !first_is_over && let Poll::Ready(outcome) = Pin::new(&mut first).poll(cx) {
            first_is_over = true;
            if consider(outcome, Winner::First, &mut best) {
                return Poll::Ready(());
            }
        }
        if !second_is_over && let Poll::Ready(outcome) = Pin::new(&mut second).poll(cx) {
            second_is_over = true;
            if consider(outcome, Winner::Second, &mut best) {
                return Poll::Ready(());
            }
        }
        if first_is_over && second_is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    best.expect("one of them is over")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn after(ms: u64, outcome: Result<u16, &'static str>) -> Result<u16, &'static str> {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        outcome
    }

    #[tokio::test]
    async fn a_good_answer_is_waited_for_and_any_is_better_than_none() {
        let cases = [
            ((30, Ok(200)), (1, Ok(201)), (Ok(201), Winner::Second)),
            ((1, Ok(200)), (30, Ok(201)), (Ok(200), Winner::First)),
            ((30, Ok(200)), (1, Ok(500)), (Ok(200), Winner::First)),
            ((1, Ok(500)), (30, Err("reset")), (Ok(500), Winner::First)),
            ((30, Err("reset")), (1, Ok(500)), (Ok(500), Winner::Second)),
            ((1, Err("reset")), (30, Err("refused")), (Err("refused"), Winner::Second)),
        ];
        for (first, second, expected) in cases {
            let (first, second) = (pin!(after(first.0, first.1)), pin!(after(second.0, second.1)));
            assert_eq!(race(first, second, |status| *status < 500).await, expected);
        }
    }
}

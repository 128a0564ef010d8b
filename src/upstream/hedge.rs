//! Hedged requests: when an answer is late, another endpoint is asked too, and the first answer is taken. Only
//! for requests without a body that may be executed twice, and within the retry budget.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::attempt::{Missed, Obtained, ask};
use super::desk;
use super::forward::Facts;
use super::http1::Payload;
use super::{Sending, Upstream};
use crate::message::{Request, Response};
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

pub(super) fn may_hedge(request: &Request<'_>, payload: &Payload<'_>) -> bool {
    request.head.method.is_idempotent() && payload.is_none() && request.upgrade.is_none()
}

impl Upstream {
    /// The first sending; and a second one beside it when its answer is late.
    pub(super) async fn send_hedged<'c>(
        &self,
        obtained: Obtained,
        request: &Request<'c>,
        facts: &Facts<'_>,
        sending: &Sending,
        record: &mut Record,
    ) -> Result<Response<'c>, Missed<'c>> {
        let began = obtained.now;
        let slot = obtained.connection.endpoint().slot.index;
        let mut nothing = Payload::None;
        let mut first = pin!(ask(obtained, request, facts, &mut nothing, sending));
        let late = match sending.retry.hedge {
            Some(Hedge::After(delay)) => Some(delay),
            Some(Hedge::Quantile(percent)) => desk::quantile(&self.group, percent),
            None => None,
        };
        let outcome = match late {
            None => first.await,
            Some(late) => {
                let late = began + late.max(EARLIEST);
                match request.watchdog.limit(late, |cx| first.as_mut().poll(cx)).await {
                    Ok(outcome) => outcome,
                    Err(_) if !self.may_ask_another(slot) => first.await,
                    Err(_) => match desk::choose(&self.group, &[slot], &facts.tie, record) {
                        Err(_) => first.await,
                        Ok(choice) => {
                            choice.endpoint().counters.hedges.fetch_add(1, Relaxed);
                            let mut nothing = Payload::None;
                            let second = async {
                                let obtained = choice.obtain(request, sending.timeouts).await?;
                                ask(obtained, request, facts, &mut nothing, sending).await
                            };
                            race(first, pin!(second)).await
                        }
                    },
                }
            }
        };
        if outcome.is_ok() && matches!(sending.retry.hedge, Some(Hedge::Quantile(_))) {
            desk::note_latency(&self.group, began.elapsed());
        }
        outcome
    }

    fn may_ask_another(&self, slot: usize) -> bool {
        desk::has_other(&self.group, &[slot]) && desk::spend_retry(&self.group, Instant::now()).is_some()
    }
}

/// The first good outcome; the last bad one when there is no good one.
async fn race<T, E>(
    mut first: impl Future<Output = Result<T, E>> + Unpin,
    mut second: impl Future<Output = Result<T, E>> + Unpin,
) -> Result<T, E> {
    let (mut first_is_over, mut second_is_over) = (false, false);
    poll_fn(|cx| {
        let mut last = None;
        if !first_is_over && let Poll::Ready(outcome) = std::pin::Pin::new(&mut first).poll(cx) {
            if outcome.is_ok() {
                return Poll::Ready(outcome);
            }
            first_is_over = true;
            last = Some(outcome);
        }
        if !second_is_over && let Poll::Ready(outcome) = std::pin::Pin::new(&mut second).poll(cx) {
            if outcome.is_ok() {
                return Poll::Ready(outcome);
            }
            second_is_over = true;
            last = Some(outcome);
        }
        match last {
            Some(outcome) if first_is_over && second_is_over => Poll::Ready(outcome),
            _ => Poll::Pending,
        }
    })
    .await
}

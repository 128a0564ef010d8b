//! Small requests over HTTP/2, with TLS and without.

use std::time::Duration;

use anyhow::Result;

use crate::bench::front::Front;
use crate::bench::measure::{Lab, WARM_UP, observe};
use crate::bench::peers::Peer;
use crate::bench::process::Wrapped;
use crate::bench::results::{Calls, Counted, Saturation};
use crate::bench::tools::h2load::{self, CONNECTIONS, STREAMS, Until};

impl Lab {
    /// Requests per second and CPU per request while h2load asks as fast as it is answered.
    pub fn http2_requests(&self, peer: Peer, front: Front, duration: Duration) -> Result<Saturation> {
        let (site, proxy) = self.start(peer, front)?;
        let url = site.url("/128");
        h2load::run(&url, Until::Time(WARM_UP))?;
        let saturation = observe(&proxy, || h2load::run(&url, Until::Time(duration)))?;
        proxy.stop(Wrapped::SameProcess)?;
        Ok(saturation)
    }

    /// User instructions and heap allocations of one request.
    pub fn http2_instructions(&self, peer: Peer, front: Front) -> Result<Counted> {
        self.count_instructions(peer, front, RUN_LENGTHS, |site, requests| {
            h2load::run(&site.url("/128"), Until::Requests(requests)).map(drop)
        })
    }

    /// System calls of one request.
    pub fn http2_calls(&self, peer: Peer, front: Front) -> Result<Calls> {
        self.count_calls(peer, front, RUN_LENGTHS, |site, requests| {
            h2load::run(&site.url("/128"), Until::Requests(requests)).map(drop)
        })
    }
}

/// Multiples of the requests under way, so that each connection sends the same number.
const RUN_LENGTHS: [usize; 2] = [8 * CONNECTIONS * STREAMS, 48 * CONNECTIONS * STREAMS];

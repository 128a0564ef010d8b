//! Large bodies through TLS, in either direction, over HTTP/1.1.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::bench::front::{Front, Key};
use crate::bench::measure::{Lab, WARM_UP, observe};
use crate::bench::peers::Peer;
use crate::bench::process::Wrapped;
use crate::bench::results::Saturation;
use crate::bench::tools::wrk::Wrk;

/// Where the mebibyte goes.
#[derive(Clone, Copy, Debug)]
pub enum Direction {
    ToClient,
    ToOrigin,
}

impl Lab {
    /// Requests per second and CPU per request with a body of 1 MiB; so the CPU is that of a MiB.
    pub fn bodies(&self, peer: Peer, direction: Direction, duration: Duration) -> Result<Saturation> {
        let (site, proxy) = self.start(peer, Front::Tls(Key::EcdsaP256))?;
        let upload = site.dir.join("upload.lua");
        fs::write(&upload, UPLOAD).with_context(|| format!("write {}", upload.display()))?;
        let (path, script) = match direction {
            Direction::ToClient => ("/1m", None),
            Direction::ToOrigin => ("/128", Some(upload.as_path())),
        };
        let wrk = Wrk { url: &site.url(path), connections: CONNECTIONS, script, header: None };
        wrk.run(WARM_UP)?;
        let saturation = observe(&proxy, || wrk.run(duration))?;
        proxy.stop(Wrapped::SameProcess)?;
        Ok(saturation)
    }
}

const CONNECTIONS: usize = 16;
const UPLOAD: &str = "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", 1024 * 1024)\n";

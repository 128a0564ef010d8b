//! One body of 1 GiB over HTTP/2 with TLS: does it arrive whole, and how much memory did the proxy take for it?

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::bench::body::{BLOCK, Sum, block};
use crate::bench::front::{Front, Key};
use crate::bench::measure::Lab;
use crate::bench::origin::{HUGE_BLOCKS, HUGE_PATH, SUM_PATH};
use crate::bench::peers::{Peer, Site};
use crate::bench::process::Wrapped;
use crate::bench::tools::curl::{self, Speak};

/// A way through the proxy; the highest resident memory of the proxy since its start is read afterwards.
#[derive(Clone, Copy, Debug)]
pub enum Transfer {
    Download,
    Upload,
}

impl Lab {
    /// The peak in bytes. An error when anything but what was sent arrived.
    pub fn transfer(&self, peer: Peer, transfer: Transfer) -> Result<f64> {
        let (site, proxy) = self.start(peer, Front::Tls(Key::EcdsaP256))?;
        let block = block();
        let arrived = match transfer {
            Transfer::Download => download(&site)?.text(),
            Transfer::Upload => upload(&site, &block)?,
        };
        let sent = Sum::of_blocks(&block, HUGE_BLOCKS).text();
        ensure!(arrived == sent, "sent: {sent}; arrived: {arrived}");
        let peak = proxy.peak_resident() as f64;
        proxy.stop(Wrapped::SameProcess)?;
        Ok(peak)
    }
}

fn download(site: &Site) -> Result<Sum> {
    let mut curl = Curl::start(curl::command(site, Speak::Http2, HUGE_PATH))?;
    let mut output = curl.0.stdout.take().context("a piped stdout")?;
    let (mut sum, mut buffer) = (Sum::default(), vec![0; 256 << 10]);
    loop {
        match output.read(&mut buffer).context("read from curl")? {
            0 => break,
            count => sum.add(&buffer[..count]),
        }
    }
    curl.finish()?;
    Ok(sum)
}

/// Returns what the origin says has arrived.
fn upload(site: &Site, block: &[u8]) -> Result<String> {
    let mut command = curl::command(site, Speak::Http2, SUM_PATH);
    // It cannot know the length of what it reads from us; without one the origin would get chunks.
    command.args(["--upload-file", "-", "--header", &format!("Content-Length: {}", BLOCK * HUGE_BLOCKS)]);
    let mut curl = Curl::start(command)?;
    let mut input = curl.0.stdin.take().context("a piped stdin")?;
    let written = (0..HUGE_BLOCKS).try_for_each(|_| input.write_all(block));
    drop(input);
    let mut answer = String::new();
    curl.0.stdout.take().context("a piped stdout")?.read_to_string(&mut answer)?;
    // Its own words first: when it ends early, the pipe only breaks.
    curl.finish()?;
    written.context("write to curl")?;
    Ok(answer)
}

/// A curl that does not outlive us when something fails.
struct Curl(Child);

impl Curl {
    fn start(mut command: Command) -> Result<Curl> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Curl(command.spawn().context("curl")?))
    }

    fn finish(&mut self) -> Result<()> {
        let mut errors = String::new();
        self.0.stderr.take().context("a piped stderr")?.read_to_string(&mut errors)?;
        let status = self.0.wait()?;
        ensure!(status.success(), "curl ended with {status}: {}", errors.trim());
        Ok(())
    }
}

impl Drop for Curl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

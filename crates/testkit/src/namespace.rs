//! A network and a file system that are the test's own, so that it can make them small. Both need root, belong
//! to the thread that asks for them, to what it starts afterwards, and vanish with it.
//!
//! This file has `unsafe`: leaving a namespace can take descriptors from other threads, for one kind of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// A network with nothing but 127.0.0.0/8, whose outgoing connections have these ports. Call it before
/// anything else of the test; false, after a line that says so, when the system does not allow it.
#[must_use]
pub fn own_network(first_port: u16, last_port: u16) -> bool {
    if !leave(UnshareFlags::NEWNET) {
        return false;
    }
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    match up {
        Ok(status) => assert!(status.success(), "ip link set lo up"),
        Err(error) => {
            println!("skipped: no ip(8) to set up a network with: {error}");
            return false;
        }
    }
    let range = "/proc/sys/net/ipv4/ip_local_port_range";
    fs::write(range, format!("{first_port} {last_port}")).expect("the settings of our own network");
    true
}

/// A disk of so many bytes at the empty folder `at`. Call it before anything else of the test; false, after a
/// line that says so, when the system does not allow it.
#[must_use]
pub fn own_disk(at: &Path, bytes: usize) -> bool {
    if !leave(UnshareFlags::NEWNS) {
        return false;
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("a private /");
    let size = std::ffi::CString::new(format!("size={bytes}")).expect("no zero in it");
    mount("tmpfs", at, "tmpfs", MountFlags::empty(), Some(size.as_c_str())).expect("a small tmpfs");
    true
}

fn leave(namespace: UnshareFlags) -> bool {
    // SAFETY: only `UnshareFlags::FILES` takes anything from other threads, and it is never asked for.
    match unsafe { unshare_unsafe(namespace) } {
        Ok(()) => true,
        Err(error) => {
            println!("skipped: this needs root, for a namespace of its own: {error}");
            false
        }
    }
}

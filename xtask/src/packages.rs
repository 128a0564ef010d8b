//! Programs of the system that tests and benchmarks call, and the Debian packages that bring them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// A Debian package, the program we want of it, and what for.
pub struct Package {
    pub name: &'static str,
    pub binary: &'static str,
    pub why: &'static str,
}

/// What `cargo xtask test` needs.
pub const FOR_TESTS: &[Package] = &[
    Package { name: "curl", binary: "curl", why: "a client that is not ours" },
    Package { name: "python3", binary: "python3", why: "an origin that is not ours" },
    Package { name: "openssl", binary: "openssl", why: "TLS and certificates by others" },
    Package { name: "nghttp2-client", binary: "nghttp", why: "HTTP/2 by others" },
    Package { name: "nghttp2-server", binary: "nghttpd", why: "HTTP/2 by others" },
    Package { name: "php-fpm", binary: "php-fpm8.2", why: "FastCGI by others" },
];

/// What `cargo xtask bench` needs.
pub const FOR_BENCH: &[Package] = &[
    Package { name: "nginx-light", binary: "nginx", why: "a peer" },
    Package { name: "haproxy", binary: "haproxy", why: "a peer" },
    Package { name: "wrk", binary: "wrk", why: "load at saturation" },
    Package { name: "nghttp2-client", binary: "h2load", why: "load of HTTP/2" },
    Package { name: "curl", binary: "curl", why: "a client that verifies certificates" },
    Package { name: "valgrind", binary: "valgrind", why: "counts instructions" },
    Package { name: "strace", binary: "strace", why: "counts system calls" },
    Package { name: "util-linux", binary: "taskset", why: "pins a process to a core" },
    Package { name: "python3-pip", binary: "pip3", why: "fetches peers that Debian does not carry" },
];

/// What `cargo xtask judges` needs; Python packages come on top.
pub const FOR_JUDGES: &[Package] = &[
    Package { name: "python3", binary: "python3", why: "runs judges" },
    Package { name: "python3-pip", binary: "pip3", why: "fetches judges" },
    Package { name: "golang-go", binary: "go", why: "makes a judge" },
    Package { name: "testssl.sh", binary: "testssl", why: "a judge" },
    Package { name: "chromium", binary: "chromium", why: "a judge" },
];

/// Installs the packages whose program is missing; says which and why.
pub fn install_missing(packages: &[Package]) -> Result<()> {
    let missing: Vec<&Package> =
        packages.iter().filter(|package| find_binary(package.binary).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for package in &missing {
        println!("missing: {} ({}); package {}", package.binary, package.why, package.name);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let by_hand = format!("install by hand: {}", names.join(" "));
    apt_get(&["update"]).with_context(|| by_hand.clone())?;
    apt_get(&[&["install", "-y", "--no-install-recommends"], &names[..]].concat())
        .with_context(|| by_hand.clone())?;

    for package in missing {
        let found = find_binary(package.binary).is_some();
        ensure!(found, "package {} is installed but brings no `{}`", package.name, package.binary);
    }
    Ok(())
}

/// The path of a program in PATH or in the folders of system daemons, which users often lack in their PATH.
pub fn find_binary(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    ensure!(find_binary("apt-get").is_some(), "there is no apt-get here");
    let mut command = match (rustix::process::geteuid().is_root(), find_binary("sudo")) {
        (true, _) => Command::new("apt-get"),
        (false, Some(sudo)) => {
            let mut command = Command::new(sudo);
            command.args(["--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
            command
        }
        (false, None) => bail!("not root, and there is no sudo"),
    };
    println!("$ apt-get {}", arguments.join(" "));
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let status = command.status().context("apt-get")?;
    ensure!(status.success(), "apt-get {} failed ({status})", arguments.join(" "));
    Ok(())
}

/// What `binary` prints when it is asked with `arguments`, standard output and error together.
pub fn ask(binary: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(binary).args(arguments).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("run {}", binary.display()))?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        assert!(find_binary("sh").is_some());
        assert!(find_binary("no-such-program-anywhere").is_none());
    }

    #[test]
    fn nothing_missing_asks_for_nothing() {
        let shell = Package { name: "no-such-package", binary: "sh", why: "a test" };
        install_missing(&[shell]).unwrap();
    }

    #[test]
    fn hears_both_outputs() {
        let shell = find_binary("sh").unwrap();
        assert_eq!(ask(&shell, &["-c", "echo one; echo two >&2"]).unwrap(), "one\ntwo");
    }
}

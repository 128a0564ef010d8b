//! Judges that are Python packages: pinned, in a folder of their own below `target`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::packages::find_binary;

/// Installs the packages unless exactly these are there.
pub fn install(target: &Path) -> Result<()> {
    let folder = folder(target);
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == REQUIREMENTS) {
        return Ok(());
    }
    println!("judges: fetching {}", REQUIREMENTS.split_whitespace().collect::<Vec<_>>().join(", "));
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let list = folder.join("requirements.txt");
    fs::write(&list, REQUIREMENTS).context("write requirements.txt")?;
    let mut pip = Command::new(find_binary("pip3").context("pip3 is not installed")?);
    pip.args(["install", "--quiet", "--no-warn-conflicts", "--target"]).arg(folder.join("lib"));
    let status = pip.arg("--requirement").arg(&list).status().context("pip3")?;
    ensure!(status.success(), "pip3 install ended with {status}");
    fs::write(&stamp, REQUIREMENTS).context("note what is installed")
}

/// Python that finds the packages and no others of the user.
pub fn python(target: &Path) -> Result<Command> {
    let mut python = Command::new(find_binary("python3").context("python3 is not installed")?);
    python.env("PYTHONPATH", folder(target).join("lib")).env("PYTHONNOUSERSITE", "1");
    Ok(python)
}

/// A script beside this file.
pub fn script(target: &Path, name: &str, arguments: &[&str]) -> Result<Command> {
    let mut python = python(target)?;
    python.arg(Path::new("xtask/src/judges").join(name)).args(arguments);
    Ok(python)
}

fn folder(target: &Path) -> PathBuf {
    target.join("judges")
}

const REQUIREMENTS: &str = include_str!("requirements.txt");

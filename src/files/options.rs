//! What a user sets about files.

use std::path::PathBuf;

use super::open::Symlinks;
use super::types::Types;
use super::visible::Visible;
use crate::message::accept_encoding::Coding;

/// `files = "/srv/www"`, or a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilesOptions {
    /// A folder that was there when the configuration was checked.
    pub root: PathBuf,
    /// Names of files that answer for their folder, the first that is there.
    pub index: Vec<String>,
    /// Codings of files that lie beside others, in order of preference.
    pub precompressed: Vec<Coding>,
    /// Folders without index are listed.
    pub browse: bool,
    /// Path below the root of the file that a browser gets where there is none.
    pub spa_fallback: Option<String>,
    /// What else is looked for when there is nothing; `{path}` is the path that was asked for, with its slash.
    pub try_files: Vec<String>,
    pub visible: Visible,
    pub symlinks: Symlinks,
    /// Value of `Cache-Control`.
    pub cache_control: Option<String>,
    pub types: Types,
}

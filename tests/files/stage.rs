//! One proxy that serves a folder.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use testkit::{Client, Palisade, Response, TempDir, temp_dir};

pub const BINARY: &str = env!("CARGO_BIN_EXE_palisade");

pub struct Stage {
    pub palisade: Palisade,
    pub dir: TempDir,
}

impl Stage {
    /// `options` stand in the table of the target, whose root is `www`; `files` are made below that.
    pub fn new(options: &str, files: &[(&str, &str)]) -> Stage {
        Stage::with(options, "", |www| {
            for (name, text) in files {
                write(www, name, text);
            }
        })
    }

    /// `more` comes behind the routes; `make` fills the folder.
    pub fn with(options: &str, more: &str, make: impl FnOnce(&Path)) -> Stage {
        let dir = temp_dir();
        let www = dir.join("www");
        fs::create_dir(&www).unwrap();
        make(&www);
        let config = format!(
            r#"
            listeners.http = {{ address = "127.0.0.1:0", http2 = true }}
            log.access = "{{dir}}/access.log"
            server.workers = 1
            routes.all.files = {{ root = "{}", {options} }}
            {more}
            "#,
            www.display()
        );
        Stage { palisade: Palisade::start(BINARY, &config), dir }
    }

    pub fn www(&self) -> PathBuf {
        self.dir.join("www")
    }

    pub fn front(&self) -> SocketAddr {
        self.palisade.address("http")
    }

    pub fn client(&self) -> Client {
        Client::connect(self.front())
    }

    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.client().get(target)
    }

    #[track_caller]
    pub fn ask(&self, target: &str, fields: &[(&str, &str)]) -> Response {
        self.client().request("GET", target, fields, b"")
    }
}

/// Writes a file, and the folders that it is in.
pub fn write(www: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = www.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Bytes that tell where they stand.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 97 + at % 251) as u8).collect()
}

//! A real S3 server for a test: `s3s-fs` on a free port, with a folder of its own.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use annals_eventstore::testing::free_port;
use tempfile::TempDir;

use crate::s3s_fs;

/// Runs until it is dropped.
pub struct ObjectStore {
    process: Child,
    folder: TempDir,
    url: String,
}

impl ObjectStore {
    /// With one bucket; none if there is no `s3s-fs` (see [`s3s_fs`]).
    ///
    /// # Panics
    /// If there is one and it does not run.
    pub fn start(test: &str, bucket: &str) -> Option<Self> {
        let program = s3s_fs(test)?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join(bucket)).expect("makes the bucket");
        let port = free_port();
        let process = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--access-key", "annals", "--secret-key", "annals-secret"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("s3s-fs runs");
        Some(Self { process, folder, url: format!("http://127.0.0.1:{port}") })
    }

    /// Where its buckets lie, a folder each.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What a program's environment says to reach it.
    pub fn variables(&self) -> [(&'static str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL", &self.url),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "annals"),
            ("AWS_SECRET_ACCESS_KEY", "annals-secret"),
        ]
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

//! Files with a secret in them: new ones, which their owner alone may read, whatever the umask says.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// A file that nothing is in yet.
pub(super) struct SecretFile {
    path: PathBuf,
    file: File,
}

/// Makes it. One that is there already is not written over: others might be able to read it, or need it.
pub(super) fn create(path: &Path) -> anyhow::Result<SecretFile> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = made.with_context(|| format!("failed to make the new file {}", path.display()))?;
    Ok(SecretFile { path: path.to_owned(), file })
}

impl SecretFile {
    pub(super) fn write(mut self, secret: &str) -> anyhow::Result<()> {
        let written = writeln!(self.file, "{secret}").and_then(|()| self.file.sync_all());
        written.with_context(|| format!("failed to write {}", self.path.display()))
    }

    pub(super) fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

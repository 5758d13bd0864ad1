//! Creates new files for secrets with mode 0600, whatever the umask.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// A created file, still empty.
pub(super) struct SecretFile {
    path: PathBuf,
    file: File,
}

/// Creates the file. Fails if it exists: others might be able to read it, or need its content.
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

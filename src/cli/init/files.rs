//! Writes several files: all of them, or none.

use std::{
    fs::{self, Permissions},
    io::{ErrorKind, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use tempfile::{Builder, NamedTempFile};

/// A new file, written completely to a temporary name before any file is replaced.
pub(super) struct NewFile {
    path: PathBuf,
    /// Content of the existing file.
    before: Option<String>,
    written: NamedTempFile,
}

impl NewFile {
    /// `text` builds the content from the existing one. A new file gets `mode`, less the umask; a replaced one keeps
    /// its mode, unless `mode` is 0600.
    pub(super) fn new(
        path: PathBuf,
        mode: u32,
        text: impl FnOnce(Option<&str>) -> anyhow::Result<String>,
    ) -> anyhow::Result<Self> {
        let failed = || format!("failed to write {}", path.display());
        let before = match fs::read_to_string(&path) {
            Ok(before) => Some(before),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("failed to read {}", path.display())),
        };
        let text = text(before.as_deref())?;
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut written = Builder::new()
            .prefix(".frontdesk-init-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(directory)
            .with_context(failed)?;
        if let (0o666, Ok(there)) = (mode, fs::metadata(&path)) {
            written.as_file().set_permissions(there.permissions()).with_context(failed)?;
        }
        written.write_all(text.as_bytes()).and_then(|()| written.as_file().sync_all()).with_context(failed)?;
        Ok(Self { path, before, written })
    }
}

/// Renames the files into place. If one fails, the earlier ones are restored.
pub(super) fn write(files: Vec<NewFile>, force: bool) -> anyhow::Result<()> {
    let mut done: Vec<(PathBuf, Option<String>)> = Vec::new();
    for NewFile { path, before, written } in files {
        // Only a file that was read is replaced: another program may have created it meanwhile.
        let put = match before.is_some() || force {
            true => written.persist(&path),
            false => written.persist_noclobber(&path),
        };
        if let Err(error) = put {
            let left: Vec<String> = done.iter().rev().filter_map(|(path, before)| take_back(path, before)).collect();
            let error = anyhow::Error::new(error.error).context(format!("failed to write {}", path.display()));
            match left.as_slice() {
                [] => return Err(error.context("nothing was written")),
                left => bail!("{error:#}; what was written before it stays: {}", left.join(", ")),
            }
        }
        done.push((path, before));
    }
    Ok(())
}

/// Restores the earlier content; the path if that fails.
fn take_back(path: &Path, before: &Option<String>) -> Option<String> {
    let restored = match before {
        Some(text) => fs::write(path, text),
        None => fs::remove_file(path),
    };
    restored.err().map(|_| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_one_cannot_be_written_the_others_are_as_before() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("kept"), "old").unwrap();
        let make = |name: &str| NewFile::new(at(name), 0o600, |_| Ok("new".to_owned())).unwrap();
        let files = vec![make("kept"), make("made"), make("taken")];
        // What appears between reading and writing is somebody else's.
        fs::write(at("taken"), "theirs").unwrap();
        let error = write(files, false).unwrap_err();
        assert!(format!("{error:#}").contains("nothing was written"), "{error:#}");
        let text = |name: &str| fs::read_to_string(at(name)).unwrap();
        assert_eq!((text("kept").as_str(), text("taken").as_str()), ("old", "theirs"));
        let names = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names, ["kept", "taken"]);
    }
}

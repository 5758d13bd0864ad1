//! Files of secrets: what was read of them, and which have changed since.
//!
//! A look is one `stat` of each file; a file is read again only when its time or its length has changed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use crate::domain::{Secret, SecretError, SecretRef};

/// The files that were read. Clones share it.
#[derive(Clone, Default)]
pub(super) struct SecretFiles(Arc<Mutex<BTreeMap<PathBuf, SecretFile>>>);

struct SecretFile {
    place: SecretRef,
    /// The last secret that could be read.
    secret: Secret,
    /// The file as it was when it was last read, whether or not it could be.
    read: Stamp,
    /// Another state of the file, seen once.
    seen: Option<Stamp>,
}

/// Time and length of a file; None if there is none.
type Stamp = Option<(SystemTime, u64)>;

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn load(path: &Path, place: &SecretRef) -> Result<Secret, SecretError> {
    let text = fs::read_to_string(path).map_err(|source| SecretError::File { path: path.to_owned(), source })?;
    clean(&text, place)
}

impl SecretFiles {
    /// Reads a file. If that fails, the secret that was read of it before, if any.
    pub(super) fn read(&self, path: &Path, place: &SecretRef) -> Result<Secret, SecretError> {
        // Before the file is read: a change in between counts as one.
        let read = stamp(path);
        let loaded = load(path, place);
        let mut files = self.lock();
        match (loaded, files.get_mut(path)) {
            (Ok(secret), _) => {
                let file = SecretFile { place: place.clone(), secret: secret.clone(), read, seen: None };
                files.insert(path.to_owned(), file);
                Ok(secret)
            }
            (Err(error), None) => Err(error),
            (Err(_), Some(file)) => Ok(file.secret.clone()),
        }
    }

    /// Paths of the files that hold another secret than the one that was read.
    pub(super) fn changed(&self) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for (path, file) in self.lock().iter_mut() {
            let now = stamp(path);
            if now == file.read {
                file.seen = None;
                continue;
            }
            if file.seen.replace(now) != Some(now) {
                continue;
            }
            (file.read, file.seen) = (now, None);
            match load(path, &file.place) {
                Ok(secret) if secret.expose() == file.secret.expose() => {}
                Ok(_) => changed.push(path.clone()),
                Err(error) => {
                    let error = crate::telemetry::causes(&error);
                    tracing::warn!(error, "a secret file has changed and cannot be read; the old secret stays in use");
                }
            }
        }
        changed
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, SecretFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The secret in a text.
pub(super) fn clean(text: &str, place: &SecretRef) -> Result<Secret, SecretError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() {
        return Err(SecretError::Empty(place.clone()));
    }
    Ok(Secret::new(match text.starts_with("-----BEGIN ") && !text.contains('\n') {
        // A PEM key written on one line.
        true => text.replace("\\r", "").replace("\\n", "\n"),
        false => text.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_as_changed_when_it_is_whole_and_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let place = SecretRef::File("key".into());
        let files = SecretFiles::default();
        let secret = || files.read(&path, &place).map(|secret| secret.expose().to_owned());
        assert!(secret().is_err(), "there is no old secret that could stay");
        fs::write(&path, "first\n").unwrap();
        assert_eq!(secret().unwrap(), "first");
        assert!(files.changed().is_empty() && files.changed().is_empty());
        fs::write(&path, "second-").unwrap();
        assert!(files.changed().is_empty(), "it may still be being written");
        fs::write(&path, "second-half").unwrap();
        assert!(files.changed().is_empty(), "and is");
        assert_eq!(files.changed(), [path.as_path()]);
        assert_eq!(secret().unwrap(), "second-half");
        for lost in ["", "\n"] {
            fs::write(&path, lost).unwrap();
            assert!(files.changed().is_empty() && files.changed().is_empty());
            assert_eq!(secret().unwrap(), "second-half");
        }
        fs::remove_file(&path).unwrap();
        assert!(files.changed().is_empty() && files.changed().is_empty());
        assert_eq!(secret().unwrap(), "second-half");
        fs::write(&path, "second-half\n\n").unwrap();
        assert!(files.changed().is_empty() && files.changed().is_empty(), "the same secret is no change");
        fs::write(&path, "third").unwrap();
        assert!(files.changed().is_empty());
        assert_eq!(files.changed(), [path.as_path()]);
    }
}

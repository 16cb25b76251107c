//! The data folder: everything that the local stack keeps. A marker in it says that it is ours, so that `--reset` can
//! never clear anything else; a lock says that it is in use.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use uuid::Uuid;

use crate::account::AWAY;

const MARKER: &str = ".lisa-local";
const PYTHON: &str = "python";

/// The root of the workspace.
#[must_use]
pub fn root() -> &'static Path {
    // This package lies two folders below it.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().and_then(Path::parent).unwrap_or(package)
}

/// A data folder that is ours.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    id: String,
    lock: Option<File>,
}

impl Folder {
    /// Opens a folder, or makes it. Without `path`, it is `.local` in the workspace.
    ///
    /// # Errors
    /// A folder that holds somebody else's files, or that cannot be made or written.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let path = path.map_or_else(|| root().join(".local"), Path::to_path_buf);
        let shown = path.display().to_string();
        fs::create_dir_all(&path).with_context(|| format!("the data folder {shown} cannot be made"))?;
        let path = path.canonicalize().with_context(|| format!("the data folder {shown} cannot be opened"))?;
        let marker = path.join(MARKER);
        let id = match fs::read_to_string(&marker) {
            Ok(text) => text.lines().next().unwrap_or_default().to_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut entries = fs::read_dir(&path).with_context(|| format!("{shown} cannot be read"))?;
                // A marker that was being written when its writer was killed is no reason to refuse.
                let half_made = marker.with_extension("new");
                if entries.any(|entry| entry.map_or(true, |entry| entry.path() != half_made)) {
                    bail!("{shown} holds files that are not of the local stack: name an empty folder with --data");
                }
                let id = Uuid::new_v4().to_string();
                let text = format!("{id}\nThis folder belongs to Lisa's local stack. `cargo dev --reset` clears it.\n");
                write_private(&marker, text.as_bytes())?;
                id
            }
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", marker.display())),
        };
        if Uuid::parse_str(&id).is_err() {
            bail!("{} is damaged: remove that data folder, or name another with --data", marker.display());
        }
        Ok(Self { path, id, lock: None })
    }

    /// Takes the folder for this process until it ends, however it ends.
    ///
    /// # Errors
    /// A folder that another process holds.
    pub fn lock(&mut self) -> Result<()> {
        let file = open_lock(&self.join("lock"))?;
        match file.try_lock() {
            Ok(()) => self.lock = Some(file),
            Err(TryLockError::WouldBlock) => bail!(
                "another local stack runs on {}: stop it, or name another folder with --data",
                self.path.display()
            ),
            Err(TryLockError::Error(error)) => return Err(error).context("the data folder cannot be locked"),
        }
        Ok(())
    }

    /// Clears it. The Python environment stays: it holds no data, and is checked by itself.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn reset(&self) -> Result<()> {
        let away = self.away();
        for folder in [self.path.as_path(), away.as_path()] {
            let entries = match fs::read_dir(folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| format!("{} cannot be read", folder.display())),
            };
            for entry in entries {
                let entry = entry.with_context(|| format!("{} cannot be read", folder.display()))?;
                let name = entry.file_name();
                if [MARKER, PYTHON, "python.lock", "lock"].iter().any(|kept| name == *kept) {
                    continue;
                }
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn python(&self) -> PathBuf {
        self.join(PYTHON)
    }

    /// What belongs to this folder, and cannot lie in it.
    pub(crate) fn away(&self) -> PathBuf {
        Path::new(AWAY).join(&self.id)
    }
}

/// Opens a file to lock; it is never read.
pub(crate) fn open_lock(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Removes a file, or a folder with all that is in it; a symbolic link is removed, not followed.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    removed.with_context(|| format!("{} cannot be removed", path.display()))
}

/// Writes a file that only its owner may read, whole or not at all.
///
/// # Errors
/// A folder that cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    let write = || {
        remove_leftover(&new)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

fn remove_leftover(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

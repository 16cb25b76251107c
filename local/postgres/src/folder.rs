//! The data folder of the local stack. A marker file identifies it, so that `--reset` never clears another folder; a
//! lock file shows that it is in use.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use uuid::Uuid;

use crate::{embedding_model, server_user::ROOT_DATA_FOLDER};

const MARKER: &str = ".lisa-local";
const PYTHON: &str = "python";

/// The root folder of the workspace.
#[must_use]
pub fn root() -> &'static Path {
    // This package is two levels below the root.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().and_then(Path::parent).unwrap_or(package)
}

/// An opened data folder.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    id: String,
    lock: Option<File>,
}

impl DataFolder {
    /// Opens a data folder, or creates it. The default path is `.local` in the workspace.
    ///
    /// # Errors
    /// Fails when the folder holds other files, or cannot be created or written.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let path = path.map_or_else(|| root().join(".local"), Path::to_path_buf);
        let shown = path.display().to_string();
        fs::create_dir_all(&path).with_context(|| format!("the data folder {shown} cannot be created"))?;
        let path = path.canonicalize().with_context(|| format!("the data folder {shown} cannot be opened"))?;
        let marker = path.join(MARKER);
        let id = match fs::read_to_string(&marker) {
            Ok(text) => text.lines().next().unwrap_or_default().to_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut entries = fs::read_dir(&path).with_context(|| format!("{shown} cannot be read"))?;
                // A half-written marker of a killed process does not make the folder foreign.
                let half_made = marker.with_extension("new");
                if entries.any(|entry| entry.map_or(true, |entry| entry.path() != half_made)) {
                    bail!("{shown} holds files of something else: choose an empty folder with --data");
                }
                let id = Uuid::new_v4().to_string();
                let text = format!("{id}\nThis folder belongs to Lisa's local stack. `cargo dev --reset` clears it.\n");
                write_private(&marker, text.as_bytes())?;
                id
            }
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", marker.display())),
        };
        if Uuid::parse_str(&id).is_err() {
            bail!("{} is damaged: remove that data folder, or choose another with --data", marker.display());
        }
        Ok(Self { path, id, lock: None })
    }

    /// Locks the folder for this process. The operating system releases the lock when the process ends.
    ///
    /// # Errors
    /// Fails when another process holds the lock.
    pub fn lock(&mut self) -> Result<()> {
        let file = open_lock(&self.join("lock"))?;
        match file.try_lock() {
            Ok(()) => self.lock = Some(file),
            Err(TryLockError::WouldBlock) => {
                bail!("another local stack uses {}: stop it, or choose another folder with --data", self.path.display())
            }
            Err(TryLockError::Error(error)) => return Err(error).context("the data folder cannot be locked"),
        }
        Ok(())
    }

    /// Deletes the contents of the folder, except the Python environment and the embedding model, which hold no data and
    /// are verified separately.
    ///
    /// # Errors
    /// Fails when a file cannot be removed.
    pub fn reset(&self) -> Result<()> {
        let away = self.outside_folder();
        for folder in [self.path.as_path(), away.as_path()] {
            let entries = match fs::read_dir(folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| format!("{} cannot be read", folder.display())),
            };
            for entry in entries {
                let entry = entry.with_context(|| format!("{} cannot be read", folder.display()))?;
                let name = entry.file_name();
                if [MARKER, PYTHON, "python.lock", embedding_model::FOLDER, embedding_model::LOCK, "lock"]
                    .iter()
                    .any(|kept| name == *kept)
                {
                    continue;
                }
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// The path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in the folder.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn python(&self) -> PathBuf {
        self.join(PYTHON)
    }

    /// The folder outside the data folder for the database, when its user cannot reach the data folder.
    pub(crate) fn outside_folder(&self) -> PathBuf {
        Path::new(ROOT_DATA_FOLDER).join(&self.id)
    }
}

/// Opens a file for locking. Its contents are not used.
pub(crate) fn open_lock(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Removes a file, or a folder with its contents. A symbolic link is removed, not followed.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    removed.with_context(|| format!("{} cannot be removed", path.display()))
}

/// Writes a file with mode 0600 atomically.
///
/// # Errors
/// Fails when the folder cannot be written.
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

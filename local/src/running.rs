//! The stacks of `cargo dev` that are running. Each has a file that names its `demo.json`, and holds a lock on that file
//! as long as it runs. Other commands find a stack by it, whatever its data folder. Beside `demo.json` is the file of the
//! stack's settings, which `cargo doctor` reads.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result};
use local_postgres::{root, write_private};
use serde::{Deserialize, Serialize};
use shared::settings::SettingsMap;

use crate::stack::Stack;

/// Name of the file of a stack's settings, beside its demo file.
const SETTINGS_FILE: &str = "settings.json";

/// The contents of the file of a stack's settings.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StackSettings {
    /// The gateway's base URL, without a slash at the end.
    pub(crate) base_url: String,
    /// The settings of all functions together.
    pub(crate) settings: SettingsMap,
}

/// Writes the file of a stack's settings, with mode 0600.
///
/// # Errors
/// Fails when the file cannot be written.
pub(crate) fn write_settings(demo_file: &Path, stack: &Stack) -> Result<()> {
    let contents = StackSettings { base_url: stack.base_url(), settings: stack.settings() };
    write_private(&demo_file.with_file_name(SETTINGS_FILE), &serde_json::to_vec_pretty(&contents)?)
}

/// Reads the settings of a running stack: the one of the named demo file, or else that of [`demo_file`].
///
/// # Errors
/// Fails when there is no such file: no stack runs there.
pub(crate) fn read_settings(demo: Option<&Path>) -> Result<StackSettings> {
    let path = demo_file(demo).with_file_name(SETTINGS_FILE);
    let shown = path.display();
    let text = fs::read(&path)
        .with_context(|| format!("{shown} cannot be read: is `cargo dev` running? --demo names another demo.json"))?;
    serde_json::from_slice(&text).with_context(|| format!("{shown} is damaged: start `cargo dev` again"))
}

/// The file of a running stack. Dropping it removes the file, and the file of the stack's settings, which holds secrets.
#[derive(Debug)]
pub(crate) struct RunningStack {
    path: PathBuf,
    settings: PathBuf,
    _lock: File,
}

impl RunningStack {
    /// Writes the file of this process.
    ///
    /// # Errors
    /// Fails when the file cannot be written.
    pub(crate) fn announce(demo_file: &Path) -> Result<Self> {
        Self::announce_in(&folder(), &std::process::id().to_string(), demo_file)
    }

    fn announce_in(folder: &Path, name: &str, demo_file: &Path) -> Result<Self> {
        let path = folder.join(name);
        let write = || {
            fs::create_dir_all(folder)?;
            let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            file.try_lock().map_err(|error| match error {
                TryLockError::Error(error) => error,
                TryLockError::WouldBlock => ErrorKind::ResourceBusy.into(),
            })?;
            file.set_len(0)?;
            file.write_all(demo_file.as_os_str().as_encoded_bytes())?;
            Ok::<_, std::io::Error>(file)
        };
        let lock = write().with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self { path, settings: demo_file.with_file_name(SETTINGS_FILE), _lock: lock })
    }
}

impl Drop for RunningStack {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.settings);
        // A file that stays has no lock, so nothing takes it for a running stack.
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns the path of the demo file: `named`, else the file of the running stack that was started last, else that of
/// the default data folder. When several stacks run, prints which one is taken.
pub(crate) fn demo_file(named: Option<&Path>) -> PathBuf {
    if let Some(named) = named {
        return named.to_path_buf();
    }
    let running = running_in(&folder());
    if let [newest, _, ..] = &running[..] {
        let (count, newest) = (running.len(), newest.display());
        eprintln!("{count} stacks are running: {newest} is taken, since it was started last; --demo names another one");
    }
    running.into_iter().next().unwrap_or_else(|| root().join(".local/demo.json"))
}

/// The folder of the files. It is in the build folder, because each data folder may be cleared.
fn folder() -> PathBuf {
    root().join("target/running-stacks")
}

/// Lists the demo files of the running stacks, that of the last started first.
fn running_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut running: Vec<_> = entries.filter_map(|entry| announced(&entry.path())).collect();
    running.sort_by(|one, other| other.cmp(one));
    running.into_iter().map(|(_, demo_file)| demo_file).collect()
}

/// Returns the time and the demo file of a running stack; `None` for the file of a stack that has ended.
fn announced(path: &Path) -> Option<(SystemTime, PathBuf)> {
    let mut file = File::open(path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        // The process was killed, and the system has released its lock.
        Ok(()) | Err(TryLockError::Error(_)) => return None,
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    Some((file.metadata().ok()?.modified().ok()?, PathBuf::from(text)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_stack_that_was_started_last_is_found_as_long_as_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let announce = |name: &str, since: u64| {
            let stack =
                RunningStack::announce_in(folder.path(), name, Path::new(&format!("/{name}/demo.json"))).unwrap();
            stack._lock.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(since)).unwrap();
            stack
        };
        assert!(running_in(folder.path()).is_empty());
        let first = announce("first", 1);
        let second = announce("second", 2);
        assert_eq!(running_in(folder.path()), ["/second/demo.json", "/first/demo.json"].map(PathBuf::from));
        drop(second);
        assert_eq!(running_in(folder.path()), ["/first/demo.json"].map(PathBuf::from));
        // A stack that was killed leaves its file behind.
        fs::write(folder.path().join("killed"), "/killed/demo.json").unwrap();
        assert_eq!(running_in(folder.path()), ["/first/demo.json"].map(PathBuf::from));
        drop(first);
        assert!(running_in(folder.path()).is_empty());
        assert_eq!(demo_file(Some(Path::new("named.json"))), Path::new("named.json"));
    }

    #[test]
    fn the_settings_of_a_stack_are_removed_when_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (demo_file, settings) = (folder.path().join("demo.json"), folder.path().join(SETTINGS_FILE));
        let stack = RunningStack::announce_in(folder.path(), "stack", &demo_file).unwrap();
        fs::write(&demo_file, "{}").unwrap();
        fs::write(&settings, "{}").unwrap();
        drop(stack);
        assert!(!settings.exists());
        assert!(demo_file.exists());
    }
}

//! Chooses the user that PostgreSQL runs as, and the place of its files.
//!
//! PostgreSQL refuses to run as root. When root starts the stack (in a container or on a small server), PostgreSQL runs
//! as `nobody`, which must be able to reach its files. When the data folder is in a home folder that is closed to other
//! users, the files are in [`ROOT_DATA_FOLDER`] instead.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};
use nix::unistd::{Gid, Uid, User, chown, geteuid};

/// The folder of databases whose data folder other users cannot reach, when root starts the stack. Only root can
/// write to it, so no other user can have put files there.
pub(crate) const ROOT_DATA_FOLDER: &str = "/var/lib/lisa-local";

/// The user that PostgreSQL runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerUser {
    /// The user who started the stack.
    Same,
    /// An unprivileged user, because root started the stack.
    Other(Uid, Gid),
}

impl ServerUser {
    /// Chooses the user to run servers as.
    ///
    /// # Errors
    /// Fails when the user database cannot be read.
    pub fn choose() -> Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self::Same);
        }
        let nobody = User::from_name("nobody").context("the user database cannot be read")?;
        Ok(nobody
            .map_or(Self::Other(Uid::from_raw(65_534), Gid::from_raw(65_534)), |user| Self::Other(user.uid, user.gid)))
    }

    /// Makes a command run as this user.
    pub(crate) fn apply(self, command: &mut Command) {
        if let Self::Other(uid, gid) = self {
            command.gid(gid.as_raw()).uid(uid.as_raw());
        }
    }

    /// Gives a file or folder to this user.
    pub(crate) fn chown_to(self, path: &Path) -> Result<()> {
        if let Self::Other(uid, gid) = self {
            chown(path, Some(uid), Some(gid)).with_context(|| format!("{} cannot be given away", path.display()))?;
        }
        Ok(())
    }

    /// True when this user can reach the contents of `folder`, judging by the permission bits.
    pub(crate) fn can_reach(self, folder: &Path) -> bool {
        self == Self::Same
            || folder.ancestors().all(|part| {
                part.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.permissions().mode() & 0o001 != 0)
            })
    }
}

/// Creates a folder in [`ROOT_DATA_FOLDER`] that all users can enter, regardless of the umask.
pub(crate) fn make_root_data_folder(folder: &Path) -> Result<()> {
    for part in [Path::new(ROOT_DATA_FOLDER), folder] {
        fs::create_dir_all(part).with_context(|| {
            format!("started as root where others cannot reach the files, and {} cannot be created", part.display())
        })?;
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(part, open).with_context(|| format!("{} cannot be opened", part.display()))?;
    }
    Ok(())
}

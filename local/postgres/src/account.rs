//! Who PostgreSQL runs as, and where its files can then be.
//!
//! It refuses to run as root. Started by root (a container, a small server), the stack runs it as `nobody`, which needs
//! to reach the files: where the data folder lies in a home that is closed to others, they go to [`AWAY`] instead.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};
use nix::unistd::{Gid, Uid, User, chown, geteuid};

/// Where a database is kept that root started in a folder which others cannot reach. Only root can write here, so
/// nobody else can have put anything in the way.
pub(crate) const AWAY: &str = "/var/lib/lisa-local";

/// The user that PostgreSQL runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// Whoever started the stack.
    Same,
    /// An unprivileged one, since root started the stack.
    Other(Uid, Gid),
}

impl Account {
    /// Chooses the user.
    ///
    /// # Errors
    /// A user database that cannot be read.
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
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        if let Self::Other(uid, gid) = self {
            chown(path, Some(uid), Some(gid)).with_context(|| format!("{} cannot be given away", path.display()))?;
        }
        Ok(())
    }

    /// Can this user reach what lies in `folder`, as far as permission bits tell?
    pub(crate) fn reaches(self, folder: &Path) -> bool {
        self == Self::Same
            || folder.ancestors().all(|part| {
                part.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.permissions().mode() & 0o001 != 0)
            })
    }
}

/// Makes a folder in [`AWAY`] that everybody can pass through, whatever the umask.
pub(crate) fn make_away(folder: &Path) -> Result<()> {
    for part in [Path::new(AWAY), folder] {
        fs::create_dir_all(part).with_context(|| {
            format!("started as root where others cannot reach the files, and {} cannot be made", part.display())
        })?;
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(part, open).with_context(|| format!("{} cannot be opened", part.display()))?;
    }
    Ok(())
}

//! The unprivileged user that PostgreSQL and Redis run as when the caller is root: PostgreSQL refuses root outright.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::unistd::{Uid, User, chown};

/// Tried in this order: the one that Debian's package makes, then the one that is always there.
const NAMES: [&str; 2] = ["postgres", "nobody"];

/// Capabilities that let a process pass through directories closed to its user, the lesser one first:
/// name for `setpriv`, bit in `/proc/PID/status`.
const PASS_THROUGH: [(&str, u32); 2] = [("dac_read_search", 2), ("dac_override", 1)];

/// An unprivileged user, and how to become it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceUser {
    user: User,
    capability: Option<&'static str>,
}

impl ServiceUser {
    /// The user for servers whose files stand in `directory`; `None` if the caller is unprivileged itself.
    ///
    /// A checkout in root's home stands behind a directory that nobody else may enter. Opening that directory to
    /// all would be worse than the single capability to pass through it, which the servers then keep.
    pub(crate) fn for_files_in(directory: &Path) -> Result<Option<Self>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        let user = find_user()?;
        let closed = directory.ancestors().find(|ancestor| !may_enter(&user, ancestor));
        let capability = match closed {
            None => None,
            Some(closed) => Some(pass_through().with_context(|| cannot_enter(&user, closed))?),
        };
        Ok(Some(Self { user, capability }))
    }

    /// The arguments of `setpriv` that become this user.
    pub(crate) fn setpriv_arguments(&self) -> Vec<OsString> {
        let mut arguments = vec![
            format!("--reuid={}", self.user.uid).into(),
            format!("--regid={}", self.user.gid).into(),
            "--clear-groups".into(),
        ];
        if let Some(capability) = self.capability {
            arguments.push(format!("--inh-caps=+{capability}").into());
            arguments.push(format!("--ambient-caps=+{capability}").into());
        }
        arguments
    }

    /// Hands a file or directory (not what is in it) over to this user.
    pub(crate) fn own(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.user.uid), Some(self.user.gid))
            .with_context(|| format!("cannot hand {} over to user {}", path.display(), self.user.name))
    }
}

/// The name of the user that servers with files in `directory` would run as; `None`: the caller.
///
/// # Errors
/// The caller is root, and there is no such user, or it cannot get to that directory.
pub fn service_user_for(directory: &Path) -> Result<Option<String>> {
    Ok(ServiceUser::for_files_in(directory)?.map(|found| found.user.name))
}

fn find_user() -> Result<User> {
    for name in NAMES {
        if let Some(user) = User::from_name(name)? {
            return Ok(user);
        }
    }
    bail!("PostgreSQL must not run as root, and there is neither a user postgres nor nobody to run it as")
}

/// Whether the permission bits let `user` pass through `directory`; one that does not exist yet will.
fn may_enter(user: &User, directory: &Path) -> bool {
    let Ok(metadata) = directory.metadata() else { return true };
    let execute = if metadata.uid() == user.uid.as_raw() {
        0o100
    } else if metadata.gid() == user.gid.as_raw() {
        0o010
    } else {
        0o001
    };
    metadata.mode() & execute != 0
}

fn cannot_enter(user: &User, closed: &Path) -> String {
    format!(
        "user {} cannot enter {}; choose another --data-dir, such as /var/lib/wallet, or run chmod o+x {}",
        user.name,
        closed.display(),
        closed.display()
    )
}

fn pass_through() -> Result<&'static str> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let bits = |field: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    let held = bits("CapPrm:").unwrap_or_default() & bits("CapBnd:").unwrap_or_default();
    let usable = PASS_THROUGH.iter().find(|(_, bit)| held & (1 << bit) != 0);
    usable.map(|(name, _)| *name).context("no capability to pass through closed directories is left")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn closed_directory_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let somebody = User {
            uid: Uid::from_raw(64_999),
            gid: nix::unistd::Gid::from_raw(64_999),
            ..User::from_uid(Uid::effective()).unwrap().unwrap()
        };
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!may_enter(&somebody, directory.path()));
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        assert!(may_enter(&somebody, directory.path()));
    }
}

//! Installs missing Debian packages.

use std::fs::File;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;

use crate::event::Event;
use crate::tools::on_path;

const SCRIPT: &str = include_str!("install.sh");

/// Installs what `missing` names with apt, as root or with `sudo -n`.
///
/// # Errors
/// No apt, no rights (before anything was changed), or apt failed; the message names the packages.
pub(crate) async fn install(missing: impl Fn() -> Vec<&'static str>, progress: &mut dyn FnMut(Event)) -> Result<()> {
    let packages = missing();
    let Some(prefix) = privilege().await? else {
        bail!(cannot_install(&packages, "not root, and sudo asks or is missing"))
    };
    if on_path("apt-get").is_none() {
        bail!(cannot_install(&packages, "this machine has no apt-get"));
    }
    // The one after the first finds everything there.
    let _lock = wait_for_lock().await?;
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    progress(Event::Installing { packages: packages.clone() });
    let mut command = tokio::process::Command::new(prefix[0]);
    command.args(&prefix[1..]).args(["-c", SCRIPT, "install"]).args(&packages).stdin(Stdio::null());
    let output = command.output().await.context("cannot run apt-get")?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        bail!(cannot_install(&packages, &format!("apt-get failed:\n{}", text.trim())));
    }
    Ok(())
}

fn cannot_install(packages: &[&str], why: &str) -> String {
    let packages = packages.join(" ");
    format!(
        "needed and not found: {packages}; they could not be installed ({why})\n\
         install them with: sudo apt-get update && sudo apt-get install -y --no-install-recommends {packages}"
    )
}

/// The command line of a shell with root's rights, if there is one to have without a question.
async fn privilege() -> Result<Option<&'static [&'static str]>> {
    if Uid::effective().is_root() {
        return Ok(Some(&["sh"]));
    }
    if on_path("sudo").is_none() {
        return Ok(None);
    }
    let mut command = tokio::process::Command::from(Command::new("sudo"));
    let command = command.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.status().await?.success().then_some(&["sudo", "-n", "sh"]))
}

/// One lock a user: in a directory that all may write to, another user's file could not be opened.
async fn wait_for_lock() -> Result<File> {
    let path = std::env::temp_dir().join(format!("wallet-install-{}.lock", Uid::effective()));
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await?;
    locked.with_context(|| format!("cannot lock {}", path.display()))
}

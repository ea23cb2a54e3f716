//! How a command is wrapped so that it has the right user, session, end and log.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::service_user::ServiceUser;

/// Logs larger than this are set aside when their process starts.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// Variables of this prefix configure our processes; those meant for one of them must not reach the others.
const CONFIG_PREFIX: &str = "WALLET_";
/// Except these, which make sense for all: `WALLET_LOG__LEVEL=debug walletctl up`.
const CONFIG_PREFIX_FOR_ALL: &str = "WALLET_LOG__";

/// A program to start and the surroundings it needs.
pub(crate) struct Launch<'a> {
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: &'a BTreeMap<String, String>,
    /// Variables that the wrappers before the program do not get: what is preloaded must not run as their user.
    pub(crate) only_for_program: BTreeMap<String, String>,
    pub(crate) working_directory: &'a Path,
    pub(crate) run_as: Option<&'a ServiceUser>,
    /// The signal it gets when this program dies; `None` lets it live on.
    pub(crate) ends_with_us: Option<&'static str>,
}

impl Launch<'_> {
    /// The command, writing to the end of `log`.
    ///
    /// `setsid` gives it a session of its own: Ctrl-C in the terminal reaches only this program, which then stops
    /// the others in order. Both wrappers replace themselves, so the pid is the program's own.
    pub(crate) fn command_with_log(&self, log: &Path) -> Result<Command> {
        set_aside_if_large(log)?;
        let out = File::options().create(true).append(true).open(log);
        let out = out.with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new("setsid");
        command.arg("setpriv").args(self.setpriv_arguments());
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        self.finish(&mut command);
        Ok(command)
    }

    /// The command for something short that the caller waits for.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(self.setpriv_arguments()).stdin(Stdio::null());
        self.finish(&mut command);
        command
    }

    fn finish(&self, command: &mut Command) {
        command.current_dir(self.working_directory);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with(CONFIG_PREFIX) && !name.starts_with(CONFIG_PREFIX_FOR_ALL) {
                command.env_remove(name.as_ref());
            }
        }
        command.envs(self.environment);
    }

    fn setpriv_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        arguments.extend(self.ends_with_us.map(|signal| format!("--pdeathsig={signal}").into()));
        arguments.extend(self.run_as.map(ServiceUser::setpriv_arguments).unwrap_or_default());
        arguments.push("--".into());
        if !self.only_for_program.is_empty() {
            arguments.push("env".into());
            arguments.extend(self.only_for_program.iter().map(|(name, value)| format!("{name}={value}").into()));
        }
        arguments.push(self.program.as_os_str().to_owned());
        arguments.extend(self.arguments.iter().cloned());
        arguments
    }
}

fn set_aside_if_large(log: &Path) -> Result<()> {
    match log.metadata() {
        Ok(metadata) if metadata.len() > LOG_BYTES_MAX => std::fs::rename(log, log.with_extension("log.1"))
            .with_context(|| format!("cannot rename {}", log.display())),
        _ => Ok(()),
    }
}

/// The last lines of a log, for a message about the process that wrote it.
pub(crate) fn last_lines(log: &Path, lines_max: usize) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(lines_max)..].iter().map(|line| format!("    {line}\n")).collect()
}

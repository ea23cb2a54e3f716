//! Finds our own programs, router and shard-node, and builds them where there is a checkout to build from.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::event::Event;
use crate::tools::{is_program, on_path};

/// Where our programs are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binaries {
    /// The program at the edge.
    pub router: PathBuf,
    /// The program that owns a PostgreSQL.
    pub shard_node: PathBuf,
}

/// A build of the workspace, so that programs match the sources that are being worked on.
struct Build {
    cargo: PathBuf,
    workspace: PathBuf,
    /// `target/<profile>`.
    output: PathBuf,
    set: Set,
}

/// Which programs are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    /// Those that are released.
    Ordinary,
    /// Those with the feature `faults`: crash points and planted bugs.
    Faults,
}

impl Set {
    fn programs(self) -> [&'static str; 2] {
        match self {
            Self::Ordinary => ["router", "shard-node"],
            Self::Faults => ["router-faults", "shard-node-faults"],
        }
    }

    fn build_arguments(self) -> Vec<&'static str> {
        let [router, shard_node] = self.programs();
        let packages: &[&str] = match self {
            Self::Ordinary => &[],
            Self::Faults => &["-p", "router", "-p", "shard-node", "--features", "router/faults,shard-node/faults"],
        };
        [&["build"], packages, &["--bin", router, "--bin", shard_node]].concat()
    }
}

impl Binaries {
    /// Finds both programs. Under `cargo run` and `cargo test` they are built first, with the profile of the running
    /// program; `quiet` hides the compiler's progress, and `faults` asks for those with the feature `faults` where the
    /// checkout has them. Otherwise they are taken from beside the running program, then
    /// from `PATH`, and built only if they are in neither.
    ///
    /// # Errors
    /// The build failed, or the programs are nowhere.
    pub async fn find(quiet: bool, faults: bool, progress: &mut dyn FnMut(Event)) -> Result<Self> {
        // Tests start many clusters in one program; one build serves them all.
        static ORDINARY: OnceCell<Binaries> = OnceCell::const_new();
        static FAULTS: OnceCell<Binaries> = OnceCell::const_new();
        let (found, set) = if faults { (&FAULTS, Set::Faults) } else { (&ORDINARY, Set::Ordinary) };
        found.get_or_try_init(|| Self::find_or_build(quiet, set, progress)).await.cloned()
    }

    async fn find_or_build(quiet: bool, set: Set, progress: &mut dyn FnMut(Event)) -> Result<Self> {
        let executable = std::env::current_exe().context("cannot tell which program is running")?;
        let beside = output_directory(&executable);
        let under_cargo = std::env::var_os("CARGO").is_some();
        if let (false, Some(found)) = (under_cargo, Self::without_build(&beside, set)) {
            return Ok(found);
        }
        let build = Build::for_output(&beside, set);
        let set = build.as_ref().map_or(set, |build| build.set);
        if let Some(build) = build {
            progress(Event::Building);
            let began = Instant::now();
            build.run(quiet).await?;
            progress(Event::Built { took: began.elapsed() });
        }
        Self::without_build(&beside, set).with_context(|| {
            format!("{} are neither in {} nor in PATH", set.programs().join(" and "), beside.display())
        })
    }

    /// Finds both programs without building: for a look at what is there.
    pub fn look() -> Option<Self> {
        Self::without_build(&output_directory(&std::env::current_exe().ok()?), Set::Ordinary)
    }

    /// A stand-in where only the shape of a cluster matters.
    pub(crate) fn unknown() -> Self {
        Self { router: PathBuf::new(), shard_node: PathBuf::new() }
    }

    fn without_build(beside: &Path, set: Set) -> Option<Self> {
        let find = |name: &str| Some(beside.join(name)).filter(|path| is_program(path)).or_else(|| on_path(name));
        let [router, shard_node] = set.programs();
        Some(Self { router: find(router)?, shard_node: find(shard_node)? })
    }
}

/// The directory that holds the running program; cargo puts tests one deeper, in `deps`.
fn output_directory(executable: &Path) -> PathBuf {
    let directory = executable.parent().unwrap_or(Path::new("/"));
    match directory.file_name() {
        Some(name) if name == "deps" => directory.parent().unwrap_or(directory).to_owned(),
        _ => directory.to_owned(),
    }
}

impl Build {
    fn for_output(output: &Path, set: Set) -> Option<Self> {
        let named = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let starts = named.iter().map(PathBuf::as_path).chain([output]);
        let workspace = starts.flat_map(Path::ancestors).find(|directory| is_our_workspace(directory))?.to_owned();
        let cargo = std::env::var_os("CARGO").map(PathBuf::from).or_else(|| on_path("cargo"))?;
        let set = if has_fault_programs(&workspace) { set } else { Set::Ordinary };
        Some(Self { cargo, workspace, output: output.to_owned(), set })
    }

    async fn run(&self, quiet: bool) -> Result<()> {
        let mut command = tokio::process::Command::new(&self.cargo);
        command.args(self.set.build_arguments()).args(self.profile_arguments());
        if let Some(target) = self.output.parent() {
            command.arg("--target-dir").arg(target);
        }
        if quiet {
            command.arg("--quiet");
        }
        for (name, _) in std::env::vars_os().filter(|(name, _)| describes_a_package(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.current_dir(&self.workspace).stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.status().await.context("cannot run cargo")?;
        if !status.success() {
            bail!("the build of {} failed in {}", self.set.programs().join(" and "), self.workspace.display());
        }
        Ok(())
    }

    fn profile_arguments(&self) -> Vec<String> {
        match self.output.file_name().and_then(|name| name.to_str()) {
            None | Some("debug") => vec![],
            Some("release") => vec!["--release".to_owned()],
            Some(profile) => vec!["--profile".to_owned(), profile.to_owned()],
        }
    }
}

fn is_our_workspace(directory: &Path) -> bool {
    directory.join("shard-node/Cargo.toml").exists() && directory.join("router/Cargo.toml").exists()
}

fn has_fault_programs(workspace: &Path) -> bool {
    let [router, shard_node] = Set::Faults.programs();
    [("router", router), ("shard-node", shard_node)].into_iter().all(|(package, program)| {
        let manifest = std::fs::read_to_string(workspace.join(package).join("Cargo.toml"));
        manifest.is_ok_and(|manifest| manifest.contains(&format!("\"{program}\"")))
    })
}

/// Cargo tells a program about its own package; a build script that reads such a variable would be run again.
fn describes_a_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_BIN_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_stand_one_directory_deeper() {
        assert_eq!(output_directory(Path::new("/w/target/debug/deps/test-1")), Path::new("/w/target/debug"));
        assert_eq!(output_directory(Path::new("/w/target/release/walletctl")), Path::new("/w/target/release"));
    }

    #[test]
    fn build_has_the_profile_of_the_running_program() {
        let build = |output: &str| Build {
            cargo: "cargo".into(),
            workspace: "/w".into(),
            output: output.into(),
            set: Set::Ordinary,
        };
        assert!(build("/w/target/debug").profile_arguments().is_empty());
        assert_eq!(build("/w/target/release").profile_arguments(), ["--release"]);
        assert_eq!(build("/w/target/bench").profile_arguments(), ["--profile", "bench"]);
    }
}

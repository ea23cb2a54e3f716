//! The shards' databases, for commands that read them.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use audit::{ShardSurvey, ShardTarget, Survey, connect, survey};
use futures_util::future::join_all;
use local_cluster::{Cluster, Role};
use placement::{AccountId, Epoch, ShardId, Slot};
use serde::Deserialize;
use tokio::time::timeout;
use tokio_postgres::Client;

use crate::GlobalOptions;
use crate::data_dir_in_use;
use crate::outcome::Outcome;
use crate::output::print;

/// Which databases to read. Without it: those of the local cluster.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ShardsOption {
    /// TOML file that says where the shards' databases are; without it, those of the local cluster
    ///
    /// One table for each shard: [[shard]] id = 1, postgres = "postgresql://user:password@host/wallet", and for
    /// `shard list` the admin addresses of its shard-nodes, admin = ["10.0.1.1:8380"], and for `verify` the Redis of its
    /// region, redis = "redis://host:6379/". See deploy/walletctl/shards.example.toml.
    #[arg(long, value_name = "FILE", env = "WALLETCTL_SHARDS", hide_env_values = true)]
    shards: Option<PathBuf>,
}

/// A shard and where it is.
#[derive(Debug, Clone)]
pub(crate) struct ShardAt {
    pub(crate) target: ShardTarget,
    /// Admin addresses of its shard-nodes, as far as they are known.
    pub(crate) admin: Vec<SocketAddr>,
    /// The Redis of its region, if it is known.
    pub(crate) redis: Option<String>,
}

/// Connections to the shards that can be read, and what these say of themselves.
pub(crate) struct Shards {
    list: Vec<(ShardId, Client)>,
    pub(crate) survey: Survey,
    pub(crate) unread: Vec<Unread>,
}

/// A shard that cannot be read, and why.
#[derive(Debug, Clone)]
pub(crate) struct Unread {
    shard: ShardId,
    why: String,
}

/// What the shards that could be asked have answered, and those that could not.
pub(crate) struct Answers<T> {
    pub(crate) given: Vec<T>,
    pub(crate) unread: Vec<Unread>,
}

/// A home of accounts.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Home {
    pub(crate) region: String,
    pub(crate) slot: Slot,
    pub(crate) shard: Option<ShardId>,
    pub(crate) epoch: Option<Epoch>,
}

impl ShardsOption {
    /// Where the shards are, in the order of their numbers.
    pub(crate) fn locate(&self, options: &GlobalOptions) -> Result<Vec<ShardAt>> {
        let mut shards = match &self.shards {
            Some(file) => in_file(file)?,
            None => in_cluster(&data_dir_in_use::cluster(options)?)?,
        };
        shards.sort_by_key(|at| at.target.shard);
        Ok(shards)
    }

    /// Whether they are those of the local cluster.
    pub(crate) fn is_local(&self) -> bool {
        self.shards.is_none()
    }

    /// Connects to the shards and asks what they are.
    ///
    /// # Errors
    /// None can be read, or what they say does not go together. Some that cannot be read are no error.
    pub(crate) async fn connect(&self, options: &GlobalOptions) -> Result<Shards> {
        let located = self.locate(options)?;
        let (mut list, mut surveys, mut unread) = (Vec::new(), Vec::new(), Vec::new());
        for (at, opened) in located.iter().zip(join_all(located.iter().map(open)).await) {
            match opened {
                Ok((client, surveyed)) => {
                    list.push((at.target.shard, client));
                    surveys.push(surveyed);
                }
                Err(error) => unread.push(Unread::because(at.target.shard, &error)),
            }
        }
        ensure!(!list.is_empty(), "no shard can be read\n{}", lines(&unread));
        Ok(Shards { list, survey: Survey::of(surveys)?, unread })
    }
}

async fn open(at: &ShardAt) -> Result<(Client, ShardSurvey)> {
    // The others' answers are of use while one hangs.
    const PATIENCE: Duration = Duration::from_secs(5);
    let opened = timeout(PATIENCE, async {
        let client = connect(&at.target).await?;
        let surveyed = survey(&client, at.target.shard).await?;
        Ok((client, surveyed))
    });
    opened.await.unwrap_or_else(|_| bail!("its PostgreSQL does not answer within {} s", PATIENCE.as_secs()))
}

impl Unread {
    fn because(shard: ShardId, error: &anyhow::Error) -> Self {
        Self { shard, why: format!("{error:#}") }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}: {}", self.shard, self.why)
    }
}

/// Says which shards could not be read, below what the others have told, or beside it where that is for programs.
pub(crate) fn end_with(unread: &[Unread], options: &GlobalOptions) -> Result<Outcome> {
    if unread.is_empty() {
        return Ok(Outcome::Fine);
    }
    if options.json {
        eprintln!("{}", lines(unread));
    } else {
        print(&lines(unread))?;
    }
    Ok(Outcome::NotWell)
}

/// One a line.
pub(crate) fn lines(unread: &[Unread]) -> String {
    unread.iter().map(Unread::to_string).collect::<Vec<_>>().join("\n")
}

impl Shards {
    /// Where an account lives, whether it exists or not.
    pub(crate) fn home(&self, id: AccountId) -> Result<Home> {
        let region = self.survey.topology.region_coded(id.region());
        let region = region.with_context(|| format!("the topology has no region of code {}", id.region()))?;
        let (shard, epoch) = self.survey.owner(id.region(), id.slot()).unzip();
        Ok(Home { region: region.name.clone(), slot: id.slot(), shard, epoch })
    }

    /// Asks all shards the same at once.
    pub(crate) async fn each<T>(&self, ask: impl AsyncFn(ShardId, &Client) -> Result<T>) -> Answers<T> {
        let mut answers = Answers { given: Vec::new(), unread: self.unread.clone() };
        let asked = join_all(self.list.iter().map(|(shard, client)| ask(*shard, client))).await;
        for ((shard, _), answer) in self.list.iter().zip(asked) {
            match answer {
                Ok(answer) => answers.given.push(answer),
                Err(error) => answers.unread.push(Unread::because(*shard, &error)),
            }
        }
        answers.unread.sort_by_key(|unread| unread.shard);
        answers
    }

    /// The connection to one of them.
    pub(crate) fn client(&self, shard: ShardId) -> Result<&Client> {
        let found = self.list.iter().find(|(id, _)| *id == shard);
        found.map(|(_, client)| client).with_context(|| format!("no database is given for shard {shard}"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    shard: Vec<FileShard>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileShard {
    id: ShardId,
    postgres: String,
    #[serde(default)]
    admin: Vec<SocketAddr>,
    redis: Option<String>,
}

fn in_file(path: &Path) -> Result<Vec<ShardAt>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("{} cannot be understood", path.display()))
}

fn parse(text: &str) -> Result<Vec<ShardAt>> {
    let file: File = toml::from_str(text)?;
    let shards = file.shard.into_iter().map(|shard| {
        let postgres = shard.postgres.parse().with_context(|| format!("the PostgreSQL of shard {}", shard.id))?;
        Ok(ShardAt { target: ShardTarget { shard: shard.id, postgres }, admin: shard.admin, redis: shard.redis })
    });
    shards.collect()
}

/// The shards of the local cluster.
pub(crate) fn in_cluster(cluster: &Cluster) -> Result<Vec<ShardAt>> {
    let processes = cluster.processes();
    let databases = processes.iter().filter(|process| process.name.role() == Role::Postgres);
    let shards =
        databases.filter_map(|process| Some((process.name.shard()?, &process.region))).map(|(number, region)| {
            let postgres = cluster.shard_postgres_url(number)?.parse()?;
            let nodes = processes.iter().filter(|process| process.name.role() == Role::ShardNode);
            let admin = nodes.filter(|node| node.name.shard() == Some(number)).filter_map(|node| node.admin_address);
            let target = ShardTarget { shard: ShardId::try_from(number)?, postgres };
            Ok(ShardAt { target, admin: admin.collect(), redis: Some(cluster.redis_url(region)?) })
        });
    shards.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_is_understood() {
        let shards = parse(include_str!("../shards.example.toml")).unwrap();
        assert_eq!(shards.iter().map(|at| at.target.shard.get()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(shards.iter().map(|at| at.admin.len()).collect::<Vec<_>>(), [2, 0]);
        assert!(shards.iter().all(|at| at.target.postgres.get_dbname() == Some("wallet")));
        assert_eq!(shards.iter().filter(|at| at.redis.is_some()).count(), 1);
    }

    #[test]
    fn mistakes_are_refused() {
        for text in [
            "",
            "[[shard]]\nid = 1",
            "[[shard]]\nid = 0\npostgres = 'host=a'",
            "[[shard]]\nid = 1\npostgres = 'host'",
            "[[shard]]\nid = 1\npostgres = 'host=a'\nhost = 'a'",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

//! Each crash point is hit once: the process dies there, and afterwards the client's repeat has its answer, every saga
//! has ended, and no money is made or lost. The programs are those with the feature `faults`.

#[path = "service/support/mod.rs"]
mod support;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Trial};
use local_cluster::{Answer, Method, ProcessName, Signal, call};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Holder, Known, Wish, World, explain, occurrences, post};
use tokio::runtime::Runtime;

const BALANCE: i64 = 1_000;
const AMOUNT: i64 = 10;
/// Within this time a process has come to the point, or it never will.
const UNTIL_DEATH: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked for while a point is armed. The debit account is always in `sg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// A transfer within the shard.
    Local,
    /// A transfer to the other region.
    Across,
    /// The same, while the other shard-node is down.
    AcrossToNobody,
    /// The commit of a two-step transfer to the other region.
    Commit,
    /// A two-step transfer that is left to expire.
    Expire,
}

/// Who dies where, during what.
const SCENES: &[(&str, &str, Deed)] = &[
    ("crash::reserve_committed", "shard-node-1", Deed::Across),
    ("crash::held_commit_committed", "shard-node-1", Deed::Commit),
    ("crash::outbox_claimed", "shard-node-1", Deed::AcrossToNobody),
    ("crash::credit_sent", "shard-node-1", Deed::Across),
    ("crash::credit_arrived", "shard-node-2", Deed::Across),
    ("crash::credit_committed", "shard-node-2", Deed::Across),
    ("crash::answer_received", "shard-node-1", Deed::Across),
    ("crash::settle_committed", "shard-node-1", Deed::Across),
    ("crash::batch_decided", "shard-node-1", Deed::Local),
    ("crash::batch_decided", "shard-node-2", Deed::Across),
    ("crash::commit_not_sent", "shard-node-1", Deed::Local),
    ("crash::commit_not_sent", "shard-node-2", Deed::Across),
    ("crash::commit_sent", "shard-node-1", Deed::Local),
    ("crash::commit_sent", "shard-node-1", Deed::Commit),
    ("crash::commit_sent", "shard-node-2", Deed::Across),
    ("crash::batch_committed", "shard-node-1", Deed::Local),
    ("crash::batch_committed", "shard-node-2", Deed::Across),
    ("crash::expiry_found", "shard-node-1", Deed::Expire),
    ("crash::expiry_committed", "shard-node-1", Deed::Expire),
    ("crash::request_forwarded", "router-sg", Deed::Across),
    ("crash::answer_not_passed_on", "router-sg", Deed::Across),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    let runtime = Arc::new(tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"));
    let started = runtime.block_on(World::start(|spec| {
        spec.fault_programs = true;
        let soon = [("WALLET_SAGA__LEASE_MS", "500"), ("WALLET_SAGA__RETRY_MAX_MS", "500")];
        spec.shard_node_env = soon.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    }));
    let world = Arc::new(started.expect("a cluster"));
    // One after the other: each kills a process that the next one needs.
    let arguments = Arguments { test_threads: Some(1), ..arguments };
    let conclusion = libtest_mimic::run(&arguments, trials(Some((runtime.clone(), world.clone()))));
    drop(world);
    conclusion.exit_code()
}

type Stage = Option<(Arc<Runtime>, Arc<World>)>;

fn trials(stage: Stage) -> Vec<Trial> {
    let listing = stage.clone();
    let mut trials = vec![Trial::test("every_point_can_be_armed_and_told_and_has_a_scene", move || {
        let (runtime, world) = listing.ok_or("no stage")?;
        runtime.block_on(points_can_be_armed(&world)).map_err(|error| format!("{error:#}").into())
    })];
    for (number, &(point, victim, deed)) in SCENES.iter().enumerate() {
        let stage = stage.clone();
        let name = format!("{victim}_may_die_at_{}_during_{deed:?}", point.trim_start_matches("crash::"));
        trials.push(Trial::test(name, move || {
            let (runtime, world) = stage.ok_or("no stage")?;
            let scene = Scene { world: &world, number, point, victim: victim.parse()?, deed };
            runtime.block_on(scene.play()).map_err(|error| format!("{point}: {error:#}").into())
        }));
    }
    trials
}

/// Arms every point of every kind of process, with an action that never comes true.
async fn points_can_be_armed(world: &World) -> Result<()> {
    let mut crash_points = BTreeSet::new();
    for process in ["shard-node-1", "router-eu"] {
        let admin = admin_of(world, &process.parse()?)?;
        let names = points(admin).await?.into_keys().collect::<Vec<_>>();
        ensure!(names.len() > 5, "{process} has only {names:?}");
        for name in &names {
            arm(admin, name, "0%return").await?;
        }
        ensure!(points(admin).await?.values().all(|armed| armed == "0%return"), "some point is not armed");
        let off = call(admin, Method::DELETE, "/faults", &[], None).await?;
        ensure!(off.status == 200, "{}", off.body);
        ensure!(points(admin).await?.values().all(Value::is_null), "some point is still armed");
        crash_points.extend(names.into_iter().filter(|name| name.starts_with("crash::")));
    }
    let played = SCENES.iter().map(|(point, _, _)| (*point).to_owned()).collect::<BTreeSet<_>>();
    ensure!(crash_points == played, "points {crash_points:?}, scenes {played:?}");
    Ok(())
}

fn admin_of(world: &World, process: &ProcessName) -> Result<SocketAddr> {
    world.cluster.process(process)?.admin_address.context("our processes have an admin port")
}

/// Each point and the action that it is armed with.
async fn points(admin: SocketAddr) -> Result<BTreeMap<String, Value>> {
    let told = call(admin, Method::GET, "/faults", &[], None).await?;
    let told: Vec<Value> = told.read()?;
    let one = |point: &Value| Some((point["name"].as_str()?.to_owned(), point["armed"].clone()));
    told.iter().map(|point| one(point).with_context(|| format!("{point} has no name"))).collect()
}

async fn arm(admin: SocketAddr, point: &str, action: &str) -> Result<()> {
    let armed = call(admin, Method::PUT, &format!("/faults/{point}"), &[], Some(&json!(action))).await?;
    ensure!(armed.status == 200, "{point} cannot be armed: {}", armed.body);
    Ok(())
}

struct Scene<'a> {
    world: &'a World,
    number: usize,
    point: &'static str,
    victim: ProcessName,
    deed: Deed,
}

impl Scene<'_> {
    async fn play(&self) -> Result<()> {
        let debit = self.world.holder(&format!("debit-{}", self.number), "sg", BALANCE).await?;
        let region = if self.deed == Deed::Local { "sg" } else { "eu" };
        let credit = self.world.holder(&format!("credit-{}", self.number), region, 0).await?;
        let deaths = self.deaths()?;
        let transfer = match self.deed {
            Deed::Local | Deed::Across | Deed::AcrossToNobody => self.transfer(&debit, &credit).await?,
            Deed::Commit => {
                let id = self.reserve(&debit, &credit, 3_600).await?;
                self.arm().await?;
                tokio::try_join!(self.commit(&debit, &id), self.death_and_rebirth())?;
                id
            }
            Deed::Expire => {
                self.arm().await?;
                let reserved = self.reserve(&debit, &credit, 1);
                let (id, ()) = tokio::try_join!(reserved, self.death_and_rebirth())?;
                id
            }
        };
        ensure!(self.deaths()? == deaths + 1, "{} does not say where it died", self.victim);
        self.world.prove().await?;
        self.check(&debit, &credit, &transfer).await
    }

    /// How often the victim has said that it dies at the point.
    fn deaths(&self) -> Result<usize> {
        let log = std::fs::read_to_string(self.world.cluster.data_dir().log(&self.victim))?;
        Ok(log.matches(&format!("crash point {}: the process kills itself", self.point)).count())
    }

    async fn arm(&self) -> Result<()> {
        arm(admin_of(self.world, &self.victim)?, self.point, "1*return").await
    }

    /// The victim dies by itself, and is started again.
    async fn death_and_rebirth(&self) -> Result<()> {
        let process = self.world.cluster.process(&self.victim)?;
        let identity = process.identity.with_context(|| format!("{} does not run", self.victim))?;
        ensure!(identity.gone(UNTIL_DEATH).await, "{} never came there", self.victim);
        self.world.cluster.restart(&self.victim).await
    }

    async fn transfer(&self, debit: &Holder, credit: &Holder) -> Result<String> {
        let nobody: ProcessName = "shard-node-2".parse()?;
        if self.deed == Deed::AcrossToNobody {
            self.world.cluster.kill(&nobody, Signal::SIGKILL).await?;
        }
        self.arm().await?;
        let key = format!("transfer-{}", self.number);
        let wish = Wish { key: &key, debit, credit, amount: AMOUNT };
        let router = self.world.cluster.router_address("sg", 0)?;
        let trouble = async {
            self.death_and_rebirth().await?;
            if self.deed == Deed::AcrossToNobody { self.world.cluster.restart(&nobody).await } else { Ok(()) }
        };
        let (known, ()) = tokio::try_join!(self.world.until_known(router, wish), trouble)?;
        ensure!(self.world.until_known(router, wish).await? == known, "the repeat has another answer");
        match known {
            Known::Posted { transfer } => Ok(transfer),
            Known::Refused { code } => bail!("refused: {code}"),
        }
    }

    async fn reserve(&self, debit: &Holder, credit: &Holder, expires_in_seconds: u32) -> Result<String> {
        let body = json!({
            "debit_account_id": debit.account, "credit_account_id": credit.account, "amount": AMOUNT, "reserve": true,
            "expires_in_seconds": expires_in_seconds
        });
        let reserved = self.until(debit, "/v1/transfers", &format!("reserve-{}", self.number), &body, 201).await?;
        Ok(reserved.read::<Value>()?["id"].as_str().context("a transfer has an id")?.to_owned())
    }

    async fn commit(&self, debit: &Holder, id: &str) -> Result<()> {
        let (path, key) = (format!("/v1/transfers/{id}/commit"), format!("commit-{}", self.number));
        self.until(debit, &path, &key, &json!({}), 200).await.map(drop)
    }

    /// Asks with the same key until there is the answer that must come.
    async fn until(&self, caller: &Holder, path: &str, key: &str, body: &Value, status: u16) -> Result<Answer> {
        let started = Instant::now();
        let router = self.world.cluster.router_address("sg", 0)?;
        while started.elapsed() < PATIENCE {
            match post(router, path, &caller.token, key, body).await {
                Ok(answer) if answer.status == status => return Ok(answer),
                Ok(answer) if ![202, 409, 503].contains(&answer.status.as_u16()) => bail!("{path}: {}", answer.body),
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        bail!("{path} was never answered {status}")
    }

    /// The transfer is once in both books, or in none if it has expired, and nothing else has changed.
    async fn check(&self, debit: &Holder, credit: &Holder, transfer: &str) -> Result<()> {
        let moved = if self.deed == Deed::Expire { 0 } else { 1 };
        for (holder, balance) in [(debit, BALANCE - AMOUNT * moved), (credit, AMOUNT * moved)] {
            let account = self.world.account(holder).await?;
            ensure!(account["balance"] == balance && account["reserved"] == 0, "{account}");
            let history = self.world.history(holder).await?;
            explain(&history, balance)?;
            let times = occurrences(&history, transfer);
            ensure!(i64::try_from(times)? == moved, "{transfer} is {times} times in the history of {}", holder.token);
        }
        let state = if self.deed == Deed::Expire { "released" } else { "posted" };
        let shown = self.world.get(debit, &format!("/v1/transfers/{transfer}")).await?;
        ensure!(shown["state"] == state, "{shown}");
        Ok(())
    }
}

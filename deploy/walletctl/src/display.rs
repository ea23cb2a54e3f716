//! The progress of a start or stop: live lines on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use local_cluster::{Event, Process, ProcessName, Role};

/// Shows events on standard error.
pub(crate) struct Display {
    lines: Option<MultiProgress>,
    /// The work that has no region, such as building.
    current: Option<ProgressBar>,
    regions: Vec<RegionLine>,
}

struct RegionLine {
    region: String,
    processes: Vec<(Process, bool)>,
    bar: Option<ProgressBar>,
}

impl Display {
    pub(crate) fn new() -> Self {
        let lines = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { lines, current: None, regions: Vec::new() }
    }

    /// Shows an event.
    pub(crate) fn show(&mut self, event: &Event) {
        self.end_current();
        match event {
            Event::Planned { processes } => self.begin_regions(processes),
            Event::Ready(process) => self.note_ready(process),
            Event::Building => {
                // The compiler shows its own progress.
                self.line(&event.to_string());
            }
            Event::Installing { .. } | Event::Seeding => self.begin_current(&event.to_string()),
            _ => self.line(&event.to_string()),
        }
    }

    /// Ends the live lines: what follows is printed below them.
    pub(crate) fn finish(&mut self) {
        self.end_current();
        for bar in self.regions.drain(..).filter_map(|line| line.bar) {
            if !bar.is_finished() {
                bar.abandon();
            }
        }
        self.lines = None;
    }

    /// A line that stays.
    pub(crate) fn line(&self, text: &str) {
        match &self.lines {
            Some(lines) => lines.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    fn begin_current(&mut self, text: &str) {
        match &self.lines {
            Some(lines) => self.current = Some(spinner(lines, text)),
            None => self.line(text),
        }
    }

    fn end_current(&mut self) {
        if let Some(bar) = self.current.take() {
            bar.finish_and_clear();
        }
    }

    fn begin_regions(&mut self, processes: &[Process]) {
        for process in processes {
            let found = self.regions.iter().position(|line| line.region == process.region);
            let index = found.unwrap_or_else(|| {
                self.regions.push(RegionLine { region: process.region.clone(), processes: Vec::new(), bar: None });
                self.regions.len() - 1
            });
            self.regions[index].processes.push((process.clone(), false));
        }
        for line in &mut self.regions {
            line.processes.sort_by_key(|(process, _)| order(&process.name));
            line.bar = self.lines.as_ref().map(|lines| spinner(lines, &line.text()));
        }
    }

    fn note_ready(&mut self, ready: &Process) {
        let Some(line) = self.regions.iter_mut().find(|line| line.region == ready.region) else { return };
        for (process, is_ready) in &mut line.processes {
            *is_ready |= process.name == ready.name;
        }
        let complete = line.processes.iter().all(|(_, is_ready)| *is_ready);
        match &line.bar {
            Some(bar) if complete => {
                bar.set_style(plain());
                bar.finish_with_message(line.text());
            }
            Some(bar) => bar.set_message(line.text()),
            None if complete => eprintln!("{}", line.text()),
            None => (),
        }
    }
}

impl RegionLine {
    /// `sg  redis ready  shard-1 ready  router http://127.0.0.1:8080`; a PostgreSQL shows only while its shard-nodes
    /// are not ready.
    fn text(&self) -> String {
        let shown = self.processes.iter().filter(|(process, _)| process.name.role() != Role::Postgres);
        let parts = shown.map(|(process, is_ready)| part(process, *is_ready));
        std::iter::once(self.region.clone()).chain(parts).collect::<Vec<_>>().join("  ")
    }
}

fn part(process: &Process, is_ready: bool) -> String {
    match (&process.name, is_ready) {
        (ProcessName::Router { .. }, true) => format!("router http://{}", process.address),
        (_, true) => format!("{} ready", short(&process.name)),
        (_, false) => format!("{} ...", short(&process.name)),
    }
}

fn short(name: &ProcessName) -> String {
    match name {
        ProcessName::Redis { .. } => "redis".to_owned(),
        ProcessName::Router { .. } => "router".to_owned(),
        ProcessName::ShardNode { shard, .. } => format!("shard-{shard}"),
        ProcessName::Postgres { .. } => name.to_string(),
    }
}

/// Redis first, routers last.
fn order(name: &ProcessName) -> (u8, Option<u16>, u16) {
    let rank = match name.role() {
        Role::Redis => 0,
        Role::Postgres => 1,
        Role::ShardNode => 2,
        Role::Router => 3,
    };
    (rank, name.shard(), name.replica())
}

fn spinner(lines: &MultiProgress, text: &str) -> ProgressBar {
    const TICK: Duration = Duration::from_millis(100);
    let style = ProgressStyle::with_template("{msg} {spinner}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = lines.add(ProgressBar::new_spinner().with_style(style).with_message(text.to_owned()));
    bar.enable_steady_tick(TICK);
    bar
}

fn plain() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

//! One run: a pipeline as processes, what is done to them, and what is left behind.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use tokio::time::Instant;

use crate::checker::{Evidence, Findings};
use crate::ground::{Ground, Terms};
use crate::ledger;
use crate::line::{Guarantee, Line, Transport, Verdict};
use crate::marks;
use crate::play::Shape;
use crate::process::{Code, Process, until};

/// How long a run may take to get somewhere, and to end, unless a row says otherwise.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// One run.
#[derive(Debug)]
pub(crate) struct Stage {
    /// What all runs share.
    pub(crate) ground: Arc<Ground>,
    /// Which run it is.
    pub(crate) terms: Terms,
    /// The pipeline.
    pub(crate) shape: Shape,
    /// The pipeline's name.
    pub(crate) name: String,
    /// What runs a part: a program, and what it is told before everything else.
    pub(crate) program: Vec<PathBuf>,
    /// Where ledger and logs are.
    pub(crate) folder: PathBuf,
    /// Where the records travel, by part; `""` for all others.
    pub(crate) locations: BTreeMap<String, String>,
    /// Variables of the environment of parts that are started from now on.
    pub(crate) environment: BTreeMap<String, Vec<(String, String)>>,
    /// How often something was done to the run.
    pub(crate) disturbances: u64,
    running: BTreeMap<String, Process>,
    incarnations: BTreeMap<String, u64>,
    /// Part, incarnation and time of each start.
    starts: Vec<(String, u64, u64)>,
    ended: BTreeMap<String, Code>,
    memory: u64,
    begin: Instant,
}

impl Stage {
    /// A pipeline of this shape that nobody has started.
    pub(crate) fn new(ground: &Arc<Ground>, terms: &Terms, mut shape: Shape) -> Result<Self> {
        shape.exactly_once = terms.guarantee == Guarantee::ExactlyOnce;
        // Runs that begin at the same moment have names of their own, too.
        let unique = (marks::now() % 0x1000_0000) << 8 | ground.number();
        let stem = format!("row{}-{}-{unique:x}", terms.row, terms.seed);
        let folder = ground
            .folder
            .join(format!("{stem}-{}", terms.case.replace(' ', "-")));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let location = ground.broker(terms.transport)?.location.clone();
        Ok(Self {
            ground: Arc::clone(ground),
            terms: terms.clone(),
            shape,
            name: stem,
            program: vec![ground.program.clone(), "operator".into()],
            folder,
            locations: BTreeMap::from([(String::new(), location)]),
            environment: BTreeMap::new(),
            disturbances: 0,
            running: BTreeMap::new(),
            incarnations: BTreeMap::new(),
            starts: Vec::new(),
            ended: BTreeMap::new(),
            memory: 0,
            begin: Instant::now(),
        })
    }

    /// The parts, a process each: the first source's replicas apart, those of each other source together, each other replica
    /// for itself.
    pub(crate) fn parts(&self) -> Vec<String> {
        let of = |operator: &str, replicas: u32| -> Vec<String> {
            (0..replicas).map(|index| format!("{operator}@{index}")).collect()
        };
        let mut parts = of("a", self.shape.writer_replicas);
        parts.extend(self.shape.sources().into_iter().skip(1));
        parts.extend(of("relay", self.shape.relays));
        parts.extend(of("sink", self.shape.sinks));
        parts
    }

    /// Starts a part, or starts it again.
    pub(crate) fn start(&mut self, part: &str) -> Result<()> {
        let incarnation = self.incarnations.entry(part.to_owned()).or_insert(0);
        *incarnation += 1;
        let incarnation = *incarnation;
        let location = self.locations.get(part).or_else(|| self.locations.get(""));
        let environment = self.environment.get(part).or_else(|| self.environment.get(""));
        let (program, told) = self.program.split_first().context("a part without a program")?;
        let mut command = Command::new(program);
        command
            .args(told)
            .arg("--folder")
            .arg(&self.folder)
            .args(["--name", &self.name, "--only", part])
            .args(["--incarnation", &incarnation.to_string()])
            .args(["--location", location.map_or("", String::as_str)])
            .args(self.shape.arguments())
            .env_remove("RUST_LOG")
            .envs(environment.into_iter().flatten().cloned());
        let log = self.folder.join(format!("{part}.{incarnation}.log"));
        let process = Process::start(command, &log)?;
        self.starts.push((part.to_owned(), incarnation, marks::now()));
        self.ended.remove(part);
        self.running.insert(part.to_owned(), process);
        Ok(())
    }

    /// Starts all parts in an order that follows from the seed.
    pub(crate) fn start_all(&mut self) -> Result<()> {
        let mut parts = self.parts();
        crate::dice::Dice::new(self.terms.seed, "start").shuffle(&mut parts);
        parts.iter().try_for_each(|part| self.start(part))
    }

    /// How many records arrived at all sinks, those that came again included.
    pub(crate) fn arrived(&self) -> u64 {
        ledger::count(&self.folder, "sink")
    }

    /// Waits until so many records have arrived.
    pub(crate) async fn until_arrived(&mut self, count: u64) -> Result<()> {
        let folder = self.folder.clone();
        let cause = format!("{count} records at the sinks");
        let all_ended = |running: &mut BTreeMap<String, Process>| -> Result<bool> {
            let ended: Result<Vec<_>> = running.values_mut().map(Process::ended).collect();
            Ok(ended?.iter().all(Option::is_some))
        };
        let running = &mut self.running;
        let probe = || {
            let arrived = ledger::count(&folder, "sink");
            if arrived < count && all_ended(running)? {
                bail!("only {arrived} of {count} records arrived and all processes have ended");
            }
            Ok((arrived >= count).then_some(()))
        };
        let waited = until(LIMIT, &cause, probe).await;
        waited.with_context(|| format!("after {} records, see {}", self.arrived(), shown(&self.folder)))
    }

    /// Waits until a part has said something in its log.
    pub(crate) async fn until_said(&self, part: &str, words: &str, limit: Duration) -> Result<()> {
        let process = self.process(part)?;
        let cause = format!("{part} says '{words}'");
        let probe = || Ok(process.said().contains(words).then_some(()));
        until(limit, &cause, probe).await
    }

    /// Waits until the newest incarnation of a part has done something.
    pub(crate) async fn until_began(&self, part: &str) -> Result<()> {
        let incarnation = self.incarnations.get(part).copied().unwrap_or(0);
        let replicas = self.replicas_of(part);
        let began = |replica: &String| marks::began(&self.folder, replica, incarnation).is_some();
        let cause = format!("{part} does something after its start");
        until(LIMIT, &cause, || Ok(replicas.iter().any(began).then_some(()))).await
    }

    /// Whether a part runs.
    pub(crate) fn is_running(&mut self, part: &str) -> Result<bool> {
        match self.running.get_mut(part) {
            Some(process) => Ok(process.ended()?.is_none()),
            None => Ok(false),
        }
    }

    /// A part that was started and not taken away.
    pub(crate) fn process(&self, part: &str) -> Result<&Process> {
        self.running
            .get(part)
            .with_context(|| format!("{part} was not started"))
    }

    /// Kills a part as `kill -9` does, and forgets it.
    pub(crate) async fn kill(&mut self, part: &str) -> Result<()> {
        self.disturbances += 1;
        let mut process = self.take(part)?;
        self.weigh(&process);
        process.kill().await
    }

    /// Takes a running part out of the run, which goes on without knowing of it.
    pub(crate) fn take(&mut self, part: &str) -> Result<Process> {
        self.running
            .remove(part)
            .with_context(|| format!("{part} was not started"))
    }

    /// Sends a part a signal.
    pub(crate) async fn signal(&mut self, part: &str, signal: &str) -> Result<()> {
        self.disturbances += 1;
        let process = self.running.get_mut(part);
        process
            .with_context(|| format!("{part} was not started"))?
            .signal(signal)
            .await
    }

    fn weigh(&mut self, process: &Process) {
        let memory = marks::peak_memory(&process.id().to_string());
        self.memory = self.memory.max(memory.unwrap_or(0));
    }

    /// Waits until a part ends and says how.
    pub(crate) async fn end(&mut self, part: &str, limit: Duration) -> Result<Code> {
        let process = self.running.get_mut(part);
        let process = process.with_context(|| format!("{part} was not started"))?;
        let ended = process.end(limit).await;
        let code = ended.with_context(|| format!("{part}, see {}", shown(&self.folder)))?;
        self.ended.insert(part.to_owned(), code);
        self.running.remove(part);
        Ok(code)
    }

    /// Waits until everybody has ended.
    pub(crate) async fn all_end(&mut self, limit: Duration) -> Result<()> {
        let begin = Instant::now();
        let parts: Vec<String> = self.running.keys().cloned().collect();
        for part in parts {
            self.end(&part, limit.saturating_sub(begin.elapsed())).await?;
        }
        Ok(())
    }

    /// Starts everybody again, who must then finish what was begun; and every record must be there.
    pub(crate) async fn resume(&mut self) -> Result<Line> {
        self.start_all()?;
        self.all_end(LIMIT)
            .await
            .context("when everybody was started again")?;
        self.complete()
    }

    /// The line of a run that everybody finished.
    pub(crate) fn complete(&self) -> Result<Line> {
        let mut line = self.line(|_| 0)?;
        let missing = self.shape.total().saturating_sub(line.records);
        if missing > 0 {
            line.breaks(format!(
                "{missing} records were never acknowledged to their writer"
            ));
        }
        Ok(line)
    }

    /// How each part ended last.
    pub(crate) const fn ended(&self) -> &BTreeMap<String, Code> {
        &self.ended
    }

    /// What every incarnation of a part has said.
    pub(crate) fn said(&self, part: &str) -> String {
        let incarnations = 1..=self.incarnations.get(part).copied().unwrap_or(0);
        let log = |incarnation| {
            let bytes = std::fs::read(self.folder.join(format!("{part}.{incarnation}.log")));
            String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
        };
        incarnations.map(log).collect()
    }

    /// What the ledger says now.
    pub(crate) fn findings(&self) -> Result<Findings> {
        self.findings_of("")
    }

    /// What the ledger says now of what was acknowledged to the writers whose names begin so.
    pub(crate) fn findings_of(&self, writers: &str) -> Result<Findings> {
        let replicas = self.shape.writing_replicas().into_iter();
        let mut acknowledged = ledger::acknowledged(&self.folder)?;
        acknowledged.retain(|range| range.writer.starts_with(writers));
        Ok(Findings::of(&Evidence {
            acknowledged,
            made: replicas
                .map(|replica| (replica, self.shape.records as i64))
                .collect(),
            arrived: ledger::arrivals(&self.folder, "sink")?,
            // pypz-python tells no offsets.
            log: self.terms.transport == Transport::Kafka && self.is_ours(),
        }))
    }

    /// The run's line: what was promised everywhere is compared, and every part must have ended with the code that `expected`
    /// says for it.
    pub(crate) fn line(&self, expected: impl Fn(&str) -> Code) -> Result<Line> {
        let mut line = self.terms.line(&self.ground);
        let findings = self.findings()?;
        line.take(&findings);
        line.seconds = self.seconds();
        line.disturbances = self.disturbances;
        line.exit_codes = self.ended.clone();
        line.recovered(self.recoveries());
        line.max_rss_mib = self.peak_memory() >> 10;
        self.judge(&mut line, &findings, expected);
        Ok(line)
    }

    fn is_ours(&self) -> bool {
        self.program.first() == Some(&self.ground.program)
    }

    fn judge(&self, line: &mut Line, findings: &Findings, expected: impl Fn(&str) -> Code) {
        let once = self.terms.guarantee == Guarantee::ExactlyOnce;
        let counts = [
            ("lost", findings.lost, true),
            ("duplicated", findings.duplicated, once),
            ("reordered", findings.reordered, true),
            ("invented", findings.invented, true),
            ("broken", findings.broken, true),
        ];
        for (what, count, counts) in counts {
            if count > 0 && counts {
                line.breaks(format!("{count} records {what}"));
            }
        }
        if findings.lost > 0 && self.ended.values().all(|code| *code == 0) {
            line.breaks("everybody ended with exit 0 and records are lost");
        }
        for (part, code) in &self.ended {
            let expected = expected(part);
            if *code != expected {
                line.breaks(format!("{part} ended with {code} in place of {expected}"));
            }
        }
    }

    /// Milliseconds from each restart to the first work of the new process.
    fn recoveries(&self) -> Vec<u64> {
        let again = self.starts.iter().filter(|(_, incarnation, _)| *incarnation > 1);
        let recovery = |(part, incarnation, started): &(String, u64, u64)| {
            let all = self.replicas_of(part);
            let began = all
                .iter()
                .filter_map(|replica| marks::began(&self.folder, replica, *incarnation));
            Some(began.min()?.saturating_sub(*started))
        };
        again.filter_map(recovery).collect()
    }

    fn replicas_of(&self, part: &str) -> Vec<String> {
        match part.contains('@') {
            true => vec![part.to_owned()],
            false => {
                let ours = self.shape.writing_replicas().into_iter();
                ours.filter(|replica| replica.starts_with(&format!("{part}@")))
                    .collect()
            }
        }
    }

    /// How long the run has taken.
    pub(crate) fn seconds(&self) -> f64 {
        self.begin.elapsed().as_secs_f64()
    }

    /// The most memory that a process of the run took, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let mark = |(part, incarnation, _): &(String, u64, u64)| {
            let mark = self.folder.join(format!("{part}.{incarnation}.memory"));
            std::fs::read_to_string(mark).ok()?.parse::<u64>().ok()
        };
        let at_end = self.starts.iter().filter_map(mark).max();
        self.memory.max(at_end.unwrap_or(0))
    }

    /// Removes ledger and logs if the run is as promised; otherwise they stay, and the line says where.
    pub(crate) fn tidy(&self, line: &mut Line) {
        if line.verdict == Verdict::Broken {
            line.reasons
                .push(format!("ledger and logs: {}", shown(&self.folder)));
        } else if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            line.reasons
                .push(format!("{} stays: {error}", shown(&self.folder)));
        }
    }
}

/// The last two names of a path, which say enough and nothing of the machine.
fn shown(path: &std::path::Path) -> String {
    let names: Vec<_> = path
        .iter()
        .rev()
        .take(2)
        .map(|name| name.to_string_lossy())
        .collect();
    names.into_iter().rev().collect::<Vec<_>>().join("/")
}

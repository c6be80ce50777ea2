//! A pipeline of the suite, described so that another process can build the same.

use std::path::PathBuf;
use std::time::Duration;

use pypz::{ExecutionMode, Partitioning, Pipeline};
use serde::{Deserialize, Serialize};

use super::agreed::{Confirmer, Stepper};
use super::operators::{LateSink, Relay, Sink, Source, text};
use super::site::Site;
use crate::names;

/// Which operators there are and how they are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Shape {
    /// `source` to `sink`.
    Straight,
    /// `source` to `left` and `right`.
    FanOut,
    /// `first` and `second` to `sink`.
    FanIn,
    /// `source` to `sink` and to `late`, of which one replica opens its port once the gate `late` is open.
    Late,
    /// `source` to `relay` (twice), `relay` to `sink`, `source` to `audit`.
    Chain,
    /// `source` to `relay` to `sink`.
    Relayed,
    /// `source` to `sink`, which acknowledges what it was given before the next is sent.
    Agreed,
    /// The same, but the sink never acknowledges.
    AgreedNever,
}

/// How records find their replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum How {
    InTurn,
    /// By this many keys.
    ByKey(u64),
    ToAll,
}

/// What a run does with what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    Run,
    /// Runs and leaves everything where it is.
    Keep,
    /// Gives up the run that is there, sends nothing and deletes everything.
    CleanUp,
    /// Deletes what is there unless it is unread.
    Delete,
}

/// One pipeline of the suite.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) name: String,
    pub(super) location: String,
    pub(super) folder: PathBuf,
    pub(super) patience: Duration,
    pub(super) purpose: Purpose,
    pub(super) shape: Shape,
    pub(super) how: How,
    /// Replicas of each source.
    pub(super) writers: u32,
    /// Replicas of each sink.
    pub(super) readers: u32,
    /// Records of each replica of a source.
    pub(super) count: u64,
    pub(super) batch: u64,
    pub(super) padding: usize,
    pub(super) pause: Duration,
    pub(super) hold_at: Option<u64>,
    pub(super) fail_at: Option<u64>,
    pub(super) sink_waits: bool,
    pub(super) stall_at: Option<usize>,
    pub(super) relays: u32,
    pub(super) relay_fails_at: Option<usize>,
    pub(super) relay_still_at: Option<i64>,
    pub(super) exactly_once: bool,
    pub(super) buffer_bytes: Option<usize>,
    pub(super) on_poison: Option<String>,
    /// Whether `left` of the fan-out begins when the writers have finished.
    pub(super) sequential: bool,
}

impl Setup {
    pub(super) fn new(site: &Site, stem: &str, folder: PathBuf) -> Self {
        Self {
            name: names::unique(stem),
            location: site.location().to_owned(),
            folder,
            patience: site.silence(),
            purpose: Purpose::Run,
            shape: Shape::Straight,
            how: How::InTurn,
            writers: 1,
            readers: 1,
            count: 100,
            batch: 10,
            padding: 0,
            pause: Duration::ZERO,
            hold_at: None,
            fail_at: None,
            sink_waits: false,
            stall_at: None,
            relays: 1,
            relay_fails_at: None,
            relay_still_at: None,
            exactly_once: false,
            buffer_bytes: None,
            on_poison: None,
            sequential: false,
        }
    }

    /// A pipeline of this name without operators.
    pub(super) fn empty(&self) -> Pipeline {
        let mut pipeline = Pipeline::new(&self.name);
        pipeline.patience(self.patience);
        pipeline.set_parameter(">>channelLocation", &self.location);
        if self.exactly_once {
            pipeline.exactly_once();
        }
        if let Some(bytes) = self.buffer_bytes {
            pipeline.set_parameter(">>bufferBytes", bytes);
            pipeline.set_parameter(">>maxRecordBytes", bytes / 4);
        }
        if let Some(policy) = &self.on_poison {
            pipeline.set_parameter(">>onPoison", policy);
        }
        match self.purpose {
            Purpose::Run => {}
            Purpose::Keep => _ = pipeline.mode(ExecutionMode::WithoutResourceDeletion),
            Purpose::CleanUp => _ = pipeline.fresh(),
            Purpose::Delete => _ = pipeline.mode(ExecutionMode::ResourceDeletionOnly),
        }
        pipeline
    }

    /// The pipeline.
    pub(super) fn pipeline(&self) -> Pipeline {
        let mut pipeline = self.empty();
        match self.shape {
            Shape::Straight => self.connect(&mut pipeline, "source", "sink"),
            Shape::FanOut => self.fan_out(&mut pipeline),
            Shape::FanIn => self.fan_in(&mut pipeline),
            Shape::Late => self.late(&mut pipeline),
            Shape::Chain => self.chain(&mut pipeline),
            Shape::Relayed => self.relayed(&mut pipeline),
            Shape::Agreed | Shape::AgreedNever => self.agreed(&mut pipeline),
        }
        pipeline
    }

    fn partitioning(&self) -> Partitioning {
        match self.how {
            How::InTurn => Partitioning::RoundRobin,
            How::ByKey(_) => Partitioning::ByKey,
            How::ToAll => Partitioning::Broadcast,
        }
    }

    pub(super) fn source(
        &self,
        pipeline: &mut Pipeline,
        name: &str,
    ) -> <Source as pypz::OperatorSpec>::Handle {
        let keys = match self.how {
            How::ByKey(keys) => keys,
            How::InTurn | How::ToAll => 0,
        };
        let count = match self.purpose {
            Purpose::Run | Purpose::Keep => self.count,
            Purpose::CleanUp | Purpose::Delete => 0,
        };
        pipeline
            .operator::<Source>(name)
            .replicas(self.writers)
            .folder(text(&self.folder))
            .count(count)
            .batch(self.batch)
            .keys(keys)
            .padding(self.padding)
            .pause(u64::try_from(self.pause.as_millis()).unwrap_or(u64::MAX))
            .hold_at(self.hold_at)
            .fail_at(self.fail_at)
    }

    fn sink(&self, pipeline: &mut Pipeline, name: &str) -> <Sink as pypz::OperatorSpec>::Handle {
        pipeline
            .operator::<Sink>(name)
            .replicas(self.readers)
            .folder(text(&self.folder))
            .waits(self.sink_waits)
            .stall_at(self.stall_at)
    }

    fn connect(&self, pipeline: &mut Pipeline, source: &str, sink: &str) {
        let source = self.source(pipeline, source);
        let sink = self.sink(pipeline, sink);
        pipeline
            .connect(source.output(), sink.input())
            .partitioned(self.partitioning());
    }

    fn fan_out(&self, pipeline: &mut Pipeline) {
        let source = self.source(pipeline, "source");
        for name in ["left", "right"] {
            let sink = self.sink(pipeline, name);
            if self.sequential && name == "left" {
                pipeline.set_parameter("left.input.sequentialModeEnabled", true);
            }
            pipeline
                .connect(source.output(), sink.input())
                .partitioned(self.partitioning());
        }
    }

    fn fan_in(&self, pipeline: &mut Pipeline) {
        let sink = self.sink(pipeline, "sink");
        for name in ["first", "second"] {
            let source = self.source(pipeline, name);
            pipeline
                .connect(source.output(), sink.input())
                .partitioned(self.partitioning());
        }
    }

    fn late(&self, pipeline: &mut Pipeline) {
        let source = self.source(pipeline, "source");
        let sink = self.sink(pipeline, "sink");
        let late = pipeline
            .operator::<LateSink>("late")
            .replicas(self.readers)
            .folder(text(&self.folder));
        pipeline.set_parameter("late.slow.folder", text(&self.folder));
        pipeline
            .connect(source.output(), sink.input())
            .partitioned(self.partitioning());
        pipeline
            .connect(source.output(), late.input())
            .partitioned(self.partitioning());
    }

    fn relay(&self, pipeline: &mut Pipeline) -> <Relay as pypz::OperatorSpec>::Handle {
        pipeline
            .operator::<Relay>("relay")
            .folder(text(&self.folder))
            .fails_at(self.relay_fails_at)
            .still_at(self.relay_still_at)
    }

    fn relayed(&self, pipeline: &mut Pipeline) {
        let source = self.source(pipeline, "source");
        let relay = self.relay(pipeline).replicas(self.relays);
        let sink = self.sink(pipeline, "sink");
        pipeline
            .connect(source.output(), relay.input())
            .partitioned(self.partitioning());
        pipeline.connect(relay.output(), sink.input());
    }

    fn agreed(&self, pipeline: &mut Pipeline) {
        let (keys, copies) = match self.how {
            How::ByKey(keys) => (keys, 1),
            How::InTurn => (0, 1),
            How::ToAll => (0, self.readers),
        };
        let is_run = matches!(self.purpose, Purpose::Run | Purpose::Keep);
        let source = pipeline
            .operator::<Stepper>("source")
            .replicas(self.writers)
            .folder(self.folder.clone())
            .count(if is_run { self.count } else { 0 })
            .batch(self.batch)
            .keys(keys)
            .copies(copies as usize)
            .watches(self.sink_waits);
        let sink = pipeline
            .operator::<Confirmer>("sink")
            .replicas(self.readers)
            .folder(text(&self.folder))
            .waits(self.sink_waits)
            .keeps(self.shape == Shape::AgreedNever);
        pipeline
            .connect(source.output(), sink.input())
            .partitioned(self.partitioning());
    }

    fn chain(&self, pipeline: &mut Pipeline) {
        let source = self.source(pipeline, "source");
        let relay = self.relay(pipeline).replicas(2);
        let sink = self.sink(pipeline, "sink");
        let audit = self.sink(pipeline, "audit");
        pipeline.connect(source.output(), relay.input());
        pipeline.connect(relay.output(), sink.input());
        pipeline.connect(source.output(), audit.input());
    }
}

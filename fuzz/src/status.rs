//! Status messages, and a machine that hears them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pypz::protocol::{
    Heard, Layout, LocalEvent, MAX_STATUS_BYTES, Machine, MemberId, Membership, Process, RunPolicy, Side,
    Timing, Upstream, decode, encode,
};
use uuid::Uuid;

use crate::{Verdict, must_be_plain};

/// The channel that the corpus speaks of: three readers, two writers, of which the first may be plain pypz-python.
pub(crate) fn layout() -> Layout {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Layout {
        channel: "pl.r.in".into(),
        readers: names(&["pl.r.in", "pl.r_0.in", "pl.r_1.in"]),
        writers: names(&["pl.w.out", "pl.w_0.out"]),
        foreign: BTreeSet::from([MemberId::writer(0)]),
        principals: vec![0, 0],
    }
}

/// Who listens.
pub(crate) fn listener() -> Process {
    Process {
        id: Uuid::from_u64_pair(1, 1),
        host: "here".to_owned(),
        pid: 1,
    }
}

/// Takes the bytes for lines that a process with the principal and a writer meets, one after the other: `r` or `w` with a
/// message of the readers' or writers' log, `t` with a time in milliseconds, `h` where the history ends.
pub fn status(bytes: &[u8]) -> Verdict {
    let layout = Arc::new(layout());
    let mut machine = Machine::new(
        Arc::clone(&layout),
        listener(),
        Timing::default(),
        RunPolicy::Resume,
    );
    let ours = [MemberId::PRINCIPAL, MemberId::writer(1)];
    for member in ours {
        machine.on_local(member, LocalEvent::Join);
    }
    let (mut now, mut verdict) = (0, Verdict::Refused);
    for line in bytes.split(|byte| *byte == b'\n').take(256) {
        match line.split_first() {
            Some((b't', time)) => {
                let time = std::str::from_utf8(time)
                    .ok()
                    .and_then(|time| time.parse::<u32>().ok());
                now += u64::from(time.unwrap_or(1000));
                machine.on_tick(Duration::from_millis(now));
            }
            Some((b'h', _)) => machine.on_history_read(),
            Some((side @ (b'r' | b'w'), message)) => {
                let side = if *side == b'r' {
                    Side::Readers
                } else {
                    Side::Writers
                };
                if hear(&layout, &mut machine, side, message) {
                    verdict = Verdict::Accepted;
                }
            }
            _ => {}
        }
        for member in ours {
            work(&mut machine, member);
        }
        speak(&layout, &mut machine);
        must_be_plain(&format!("{:?} {:?}", machine.suspects(), machine.trouble()));
    }
    verdict
}

fn hear(layout: &Layout, machine: &mut Machine, side: Side, message: &[u8]) -> bool {
    match decode(layout, side, message) {
        Ok(Heard::Report(report)) => {
            let again = encode(layout, side, report.clone(), 0);
            assert_eq!(
                decode(layout, side, &again.bytes),
                Ok(Heard::Report(report.clone()))
            );
            machine.on_report(side, &report);
            true
        }
        Ok(Heard::Word(word)) => {
            machine.on_plain(&word);
            true
        }
        Err(error) => {
            must_be_plain(&error.to_string());
            false
        }
    }
}

/// Does what a member would do that is told this.
fn work(machine: &mut Machine, member: MemberId) {
    match machine.membership(member) {
        Membership::Refused(refusal) => must_be_plain(&refusal.to_string()),
        Membership::Established { epoch, .. } => {
            assert!(epoch > 0, "an incarnation without an epoch");
            machine.on_local(member, LocalEvent::Opened);
            machine.on_local(member, LocalEvent::Started);
        }
        Membership::Waiting(_) | Membership::Over(_) => {}
    }
    match machine.upstream() {
        Upstream::Failed { cause } | Upstream::Lost { cause, .. } => must_be_plain(&cause),
        Upstream::Stopped { .. } | Upstream::Sending => {}
    }
    let answers = (
        machine.readiness(),
        machine.siblings(),
        machine.writers_are_gone(),
    );
    must_be_plain(&format!("{answers:?}"));
}

/// Whatever the machine has heard, what it says is readable, and it hears it.
fn speak(layout: &Layout, machine: &mut Machine) {
    for (side, report) in machine.take_reports() {
        let record = encode(layout, side, report.clone(), 0);
        assert!(
            record.bytes.len() <= MAX_STATUS_BYTES,
            "{} bytes",
            record.bytes.len()
        );
        assert_eq!(
            decode(layout, side, &record.bytes),
            Ok(Heard::Report(report.clone()))
        );
        machine.on_report(side, &report);
    }
    for word in machine.take_words() {
        machine.on_plain(&word);
    }
}

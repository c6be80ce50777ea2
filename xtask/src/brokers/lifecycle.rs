//! Starting and stopping, the same for every broker.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Broker;
use super::site::{Site, State};
use crate::{process, setup};

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(90);

/// How a running broker is.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) pid: u32,
    pub(crate) location: String,
    pub(crate) ready: bool,
    /// What a client needs beside the location; null if nothing.
    pub(crate) details: Value,
}

/// Starts the broker unless it runs; tells also whether it had to.
pub(crate) fn up(broker: &dyn Broker, port: Option<u16>) -> Result<(Status, bool)> {
    let known = known(broker)?;
    if let Some((site, state)) = &known
        && process::is_alive(state.pid, &site.home)
    {
        if port.is_some_and(|port| port != state.port) {
            bail!("{} runs already, at {}", broker.name(), state.location);
        }
        await_answer(broker, site, state, None)?;
        return Ok((
            Status {
                pid: state.pid,
                location: state.location.clone(),
                ready: true,
                details: broker.details(state.port),
            },
            false,
        ));
    }
    let usual = match known {
        Some((site, state)) => {
            stop(broker, &site, &state, true)?;
            state.port
        }
        None => broker.default_port(),
    };
    Ok((start(broker, port.unwrap_or(usual))?, true))
}

/// Starts the broker unless it runs, next to whatever may have taken its usual port.
pub(crate) fn up_on_a_free_port(broker: &dyn Broker) -> Result<(Status, bool)> {
    if known(broker)?.is_some() {
        return up(broker, None);
    }
    let candidates = (0..10).map(|step| broker.default_port() + 100 * step);
    let port = candidates.into_iter().find(|port| taken(broker, *port).is_none());
    up(broker, port)
}

/// Stops the broker if it runs, and starts it with the data which it has.
pub(crate) fn restart(broker: &dyn Broker, kill: bool) -> Result<Status> {
    let port = match known(broker)? {
        Some((site, state)) => {
            stop(broker, &site, &state, kill)?;
            state.port
        }
        None => broker.default_port(),
    };
    start(broker, port)
}

/// Kills the broker if it runs; its data and the note of its port stay.
pub(crate) fn halt(broker: &dyn Broker) -> Result<()> {
    match known(broker)? {
        Some((site, state)) if process::is_alive(state.pid, &site.home) => {
            process::stop(state.pid, &site.home, true)
        }
        _ => Ok(()),
    }
}

/// Stops the broker if it runs, and removes its data.
pub(crate) fn down(broker: &dyn Broker) -> Result<()> {
    let Some((site, state)) = known(broker)? else {
        return Ok(());
    };
    stop(broker, &site, &state, false)?;
    site.remove_data()?;
    site.forget()
}

/// Tells how the broker is, nothing if it does not run.
pub(crate) fn status(broker: &dyn Broker) -> Result<Option<Status>> {
    let alive = known(broker)?.filter(|(site, state)| process::is_alive(state.pid, &site.home));
    Ok(alive.map(|(_, state)| Status {
        pid: state.pid,
        ready: broker.answers(state.port),
        details: broker.details(state.port),
        location: state.location,
    }))
}

fn known(broker: &dyn Broker) -> Result<Option<(Site, State)>> {
    let state = Site::new(broker.name(), broker.default_port()).load()?;
    Ok(state.map(|state| (Site::new(broker.name(), state.port), state)))
}

fn stop(broker: &dyn Broker, site: &Site, state: &State, kill: bool) -> Result<()> {
    if process::is_alive(state.pid, &site.home) {
        process::stop(state.pid, &site.home, kill)?;
    }
    broker.clean_up(state.port);
    Ok(())
}

fn start(broker: &dyn Broker, port: u16) -> Result<Status> {
    let begin = Instant::now();
    setup::ensure(broker.needs())?;
    let free = || Ok(taken(broker, port).is_none().then_some(()));
    if process::wait_until(Duration::from_secs(2), free)?.is_none() {
        let taken = taken(broker, port).unwrap_or(port);
        let name = broker.name();
        bail!(
            "{name} cannot start: something else listens on 127.0.0.1:{taken}; \
             stop that, or take another port: cargo xtask brokers up {name} --port PORT"
        );
    }
    let site = Site::new(broker.name(), port);
    let former = site.load()?.map(|state| state.port);
    if former != Some(port) {
        site.remove_data()?;
        former.map_or(Ok(()), |port| Site::new(broker.name(), port).remove_data())?;
    }
    broker.prepare(&site, port)?;
    let mut child = process::detach(&mut broker.command(&site, port)?, &site.log())?;
    let state = State {
        pid: child.id(),
        port,
        location: broker.location(port),
        connect: broker.details(port),
    };
    site.save(&state)?;
    let answers = await_answer(broker, &site, &state, Some(&mut child));
    if let Err(error) = answers.and_then(|()| broker.started(&site, port)) {
        stop(broker, &site, &state, true)?;
        return Err(error);
    }
    eprintln!(
        "{} answers after {:.1} s",
        broker.name(),
        begin.elapsed().as_secs_f64()
    );
    Ok(Status {
        pid: state.pid,
        location: state.location,
        ready: true,
        details: state.connect,
    })
}

fn await_answer(
    broker: &dyn Broker,
    site: &Site,
    state: &State,
    mut child: Option<&mut Child>,
) -> Result<()> {
    let answer = process::wait_until(PATIENCE, || {
        if let Some(status) = child.as_deref_mut().map(Child::try_wait).transpose()?.flatten() {
            bail!("{} ended with {status}\n{}", broker.name(), tail(site));
        }
        Ok(broker.answers(state.port).then_some(()))
    })?;
    answer.with_context(|| {
        format!(
            "{} does not answer at {}\n{}",
            broker.name(),
            state.location,
            tail(site)
        )
    })
}

/// Returns the first port of the broker on which something listens.
fn taken(broker: &dyn Broker, port: u16) -> Option<u16> {
    (port..port + broker.ports()).find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err())
}

/// Returns the last lines of the log.
fn tail(site: &Site) -> String {
    let log = std::fs::read(site.log()).unwrap_or_default();
    let text = String::from_utf8_lossy(&log).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(15)..].join("\n");
    format!("{last}\n(from {})", site.log().display())
}

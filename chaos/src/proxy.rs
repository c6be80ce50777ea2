//! A TCP proxy that makes the network bad.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::dice::Dice;
use crate::process::LOOK_EVERY;
use crate::sieve::Sieve;

/// The most bytes that are taken at a time.
const CHUNK: usize = 16 << 10;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From clients to the broker.
    ToBroker,
    /// From the broker to clients.
    ToClient,
}

/// What is wrong with the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Each piece takes so long each way.
    Latency(Duration),
    /// Everything arrives in pieces of so many bytes.
    Sliced(usize),
    /// So many bytes a second pass, one by one.
    Slow(u32),
    /// Connections stay and nothing passes; new ones are taken and stay silent.
    BlackHole,
    /// Nothing passes one way; the other way is as it was.
    HalfOpen(Way),
    /// Connections are closed, new ones at once, too.
    Cut,
    /// As [`Fault::Cut`], with a reset in place of an orderly end.
    Reset,
    /// Everything passes but the confirms of RabbitMQ, on the connections of a [`Proxy::of_amqp`].
    Unconfirmed,
}

impl Fault {
    /// The faults of a seed, each other than the one before it.
    pub(crate) fn draw(dice: &mut Dice, count: u64) -> Vec<Self> {
        let all = [
            Self::Latency(Duration::from_millis(dice.within(20..300))),
            Self::Sliced(dice.within(1..64) as usize),
            Self::Slow(dice.within(1..200) as u32),
            Self::BlackHole,
            Self::HalfOpen(Way::ToBroker),
            Self::HalfOpen(Way::ToClient),
            Self::Cut,
            Self::Reset,
        ];
        let mut drawn = Vec::new();
        while (drawn.len() as u64) < count {
            let mut turn = all;
            dice.shuffle(&mut turn);
            drawn.extend(turn);
        }
        drawn.truncate(count as usize);
        drawn
    }

    const fn stalls(self, way: Way) -> bool {
        match self {
            Self::BlackHole => true,
            Self::HalfOpen(stalled) => matches!(
                (stalled, way),
                (Way::ToBroker, Way::ToBroker) | (Way::ToClient, Way::ToClient)
            ),
            _ => false,
        }
    }

    const fn ends(self) -> bool {
        matches!(self, Self::Cut | Self::Reset)
    }
}

/// A proxy. Dropping it ends it and all its connections.
#[derive(Debug)]
pub(crate) struct Proxy {
    fault: watch::Sender<Fault>,
    /// How many confirms did not pass.
    withheld: Arc<AtomicU64>,
    _serving: JoinSet<()>,
}

/// What the connections of a proxy carry.
#[derive(Debug, Clone)]
enum Carried {
    /// Bytes.
    Bytes,
    /// AMQP's frames, and how many of them did not pass.
    Frames(Arc<AtomicU64>),
}

impl Proxy {
    /// Listens at a port of this machine, for a broker at another one.
    pub(crate) async fn start(port: u16, broker: u16, fault: Fault) -> Result<Self> {
        Self::of(port, broker, fault, Carried::Bytes, Arc::default()).await
    }

    /// As [`Proxy::start`] without a fault, for RabbitMQ, whose confirms it can tell from all else.
    pub(crate) async fn of_amqp(port: u16, broker: u16) -> Result<Self> {
        let withheld = Arc::<AtomicU64>::default();
        let carried = Carried::Frames(Arc::clone(&withheld));
        Self::of(port, broker, Fault::None, carried, withheld).await
    }

    async fn of(
        port: u16,
        broker: u16,
        fault: Fault,
        carried: Carried,
        withheld: Arc<AtomicU64>,
    ) -> Result<Self> {
        let listener = listen(port).await?;
        let (sender, receiver) = watch::channel(fault);
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, broker, carried, receiver));
        Ok(Self {
            fault: sender,
            withheld,
            _serving: serving,
        })
    }

    /// How many confirms did not pass.
    pub(crate) fn withheld(&self) -> u64 {
        self.withheld.load(Ordering::Relaxed)
    }

    /// Makes the network bad in another way, for connections that are there, too.
    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

/// Listens at a port, which the proxy before this one may be about to leave.
async fn listen(port: u16) -> Result<TcpListener> {
    let begin = tokio::time::Instant::now();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Err(_) if begin.elapsed() < Duration::from_secs(5) => {}
            bound => return bound.with_context(|| format!("a proxy cannot listen at port {port}")),
        }
    }
}

async fn serve(listener: TcpListener, broker: u16, carried: Carried, fault: watch::Receiver<Fault>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(connection(client, broker, carried.clone(), fault.clone()));
                }
                // The process is out of descriptors: those that end give some back.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves a connection until one side closes it or a fault ends it.
async fn connection(client: TcpStream, broker: u16, carried: Carried, mut fault: watch::Receiver<Fault>) {
    let quick = [client.set_nodelay(true)];
    let begun = *fault.borrow_and_update();
    if begun.ends() || quick.iter().any(Result::is_err) {
        return close(&client, begun);
    }
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, broker)).await else {
        return close(&client, Fault::Reset);
    };
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = server.into_split();
    let mut ways = JoinSet::new();
    let way = (Way::ToBroker, Carried::Bytes);
    ways.spawn(pump(from_client, to_broker, way, fault.clone()));
    let way = (Way::ToClient, carried);
    ways.spawn(pump(from_broker, to_client, way, fault.clone()));
    let ended = async {
        while let Some(ended) = ways.join_next().await {
            if !matches!(ended, Ok(Ok(()))) {
                break;
            }
        }
    };
    tokio::select! {
        () = ended => {}
        fault = fault.wait_for(|fault| fault.ends()) => drop(fault),
    }
}

/// Ends a connection that nobody has split yet.
fn close(client: &TcpStream, fault: Fault) {
    if fault == Fault::Reset {
        let _ = client.set_zero_linger();
    }
}

/// Carries bytes one way until their end.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    (way, carried): (Way, Carried),
    mut fault: watch::Receiver<Fault>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut sieve = Sieve::default();
    loop {
        let now = *fault.borrow_and_update();
        if now == Fault::Reset {
            let _ = from.as_ref().set_zero_linger();
        }
        if now.stalls(way) || now.ends() {
            if fault.changed().await.is_err() {
                return Ok(());
            }
            continue;
        }
        let taken = tokio::select! {
            taken = from.read(&mut buffer) => taken?,
            _ = fault.changed() => continue,
        };
        if taken == 0 {
            return to.shutdown().await;
        }
        let Carried::Frames(withheld) = &carried else {
            carry(&buffer[..taken], &mut to, &mut fault).await?;
            continue;
        };
        let unconfirmed = *fault.borrow() == Fault::Unconfirmed;
        let (passed, out) = sieve.pass(&buffer[..taken], unconfirmed);
        withheld.fetch_add(out, Ordering::Relaxed);
        carry(&passed, &mut to, &mut fault).await?;
    }
}

/// Hands on what was taken, as the fault of each moment has it. A fault that stalls begins behind it.
async fn carry(
    mut bytes: &[u8],
    to: &mut OwnedWriteHalf,
    fault: &mut watch::Receiver<Fault>,
) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let now = *fault.borrow_and_update();
        let (piece, pause) = match now {
            Fault::Latency(pause) => (bytes.len(), pause),
            Fault::Sliced(piece) => (piece.min(bytes.len()), Duration::ZERO),
            Fault::Slow(rate) => (1, Duration::from_secs(1) / rate.max(1)),
            _ => (bytes.len(), Duration::ZERO),
        };
        if !pause.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = fault.changed() => continue,
            }
        }
        let (head, tail) = bytes.split_at(piece);
        to.write_all(head).await?;
        bytes = tail;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets, and a proxy before it.
    async fn echo(fault: Fault) -> (Proxy, u16) {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let broker = server.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        (Proxy::start(port, broker, fault).await.unwrap(), port)
    }

    async fn round_trip(port: u16) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(b"twelve bytes").await?;
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn what_passes_is_not_changed_by_slices_latency_or_slowness() {
        for fault in [
            Fault::None,
            Fault::Sliced(5),
            Fault::Slow(1_000),
            Fault::Latency(Duration::from_millis(5)),
        ] {
            let (_proxy, port) = echo(fault).await;
            assert_eq!(round_trip(port).await.unwrap(), b"twelve bytes", "{fault:?}");
        }
    }

    #[tokio::test]
    async fn a_cut_or_reset_network_ends_connections_and_comes_back() {
        for fault in [Fault::Cut, Fault::Reset] {
            let (proxy, port) = echo(Fault::None).await;
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
            stream.write_all(b"x").await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), b'x');
            proxy.set(fault);
            assert!(stream.read_u8().await.is_err(), "{fault:?}");
            assert!(round_trip(port).await.is_err(), "{fault:?}");
            proxy.set(Fault::None);
            assert_eq!(round_trip(port).await.unwrap(), b"twelve bytes");
        }
    }

    #[tokio::test]
    async fn what_a_black_hole_or_a_half_open_connection_holds_passes_when_it_is_over() {
        for fault in [
            Fault::BlackHole,
            Fault::HalfOpen(Way::ToBroker),
            Fault::HalfOpen(Way::ToClient),
        ] {
            let (proxy, port) = echo(fault).await;
            let answer = tokio::spawn(round_trip(port));
            let limit = Duration::from_millis(100);
            let mut answer = answer;
            assert!(
                tokio::time::timeout(limit, &mut answer).await.is_err(),
                "{fault:?}"
            );
            proxy.set(Fault::None);
            assert_eq!(answer.await.unwrap().unwrap(), b"twelve bytes", "{fault:?}");
        }
    }

    #[test]
    fn a_seed_has_one_schedule_of_all_faults() {
        let of = |seed| Fault::draw(&mut Dice::new(seed, "faults"), 16);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert!(of(3).iter().any(|fault| matches!(fault, Fault::Slow(_))));
    }
}

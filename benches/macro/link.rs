//! A slow link between two servers on one machine: a TCP proxy with a rate and a delay, which counts.
//!
//! The model, for each direction: bytes leave one after another at the link's rate, all connections
//! together, and arrive half a round trip later. Nothing is lost. What is under way is bounded for
//! each connection, so a reader that stops stops the writer.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::BenchError;

/// Bytes read at a time.
const CHUNK: usize = 16 << 10;
/// Bytes that may wait for the link, beside those that are on it.
const QUEUE: u64 = 256 << 10;

/// How slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Bytes in a second, in each direction.
    pub rate: u64,
    /// From one end to the other and back.
    pub round_trip: Duration,
}

/// The text is no link.
#[derive(Debug, Error)]
#[error("a link is written RATE,RTT, such as 100mbit,20ms (kbit, mbit, gbit; us, ms, s)")]
pub struct NoLink;

/// A listening proxy. Dropping it ends its connections.
pub struct Proxy {
    address: SocketAddr,
    meter: Meter,
    target: watch::Sender<Option<SocketAddr>>,
    _listening: JoinSet<()>,
}

/// Reads what a proxy has carried so far. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Meter {
    there: Arc<AtomicU64>,
    back: Arc<AtomicU64>,
}

/// Bytes that the kernel handed over, all connections together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// From those who connected to the target.
    pub there: u64,
    /// From the target to those who connected.
    pub back: u64,
}

impl Meter {
    /// What was carried until now.
    pub fn read(&self) -> Carried {
        Carried {
            there: self.there.load(Ordering::Relaxed),
            back: self.back.load(Ordering::Relaxed),
        }
    }
}

impl Link {
    /// A link that neither delays nor holds up.
    pub const DIRECT: Self = Self {
        rate: u64::MAX,
        round_trip: Duration::ZERO,
    };

    /// How long `bytes` take to leave.
    pub fn time_for(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn delay(&self) -> Duration {
        self.round_trip / 2
    }

    /// The bytes that may be under way in one direction.
    fn window(&self) -> usize {
        let on_link = u128::from(self.rate) * self.delay().as_nanos() / 1_000_000_000;
        let window = u64::try_from(on_link)
            .unwrap_or(u64::MAX)
            .saturating_add(QUEUE);
        usize::try_from(window)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS)
    }
}

impl Proxy {
    /// Listens on a free port of the loopback interface. What connects waits until there is a target.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn listen(link: Link) -> Result<Self, BenchError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(BenchError::Listen)?;
        let address = listener.local_addr().map_err(BenchError::Listen)?;
        let (target, known) = watch::channel(None);
        let (there, back) = (Direction::new(link), Direction::new(link));
        let meter = Meter {
            there: Arc::clone(&there.carried),
            back: Arc::clone(&back.carried),
        };
        let mut listening = JoinSet::new();
        listening.spawn(accept(listener, there, back, known));
        Ok(Self {
            address,
            meter,
            target,
            _listening: listening,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Counts what it carries.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// Lets connections go on to `target`.
    pub fn lead_to(&self, target: SocketAddr) {
        self.target.send_replace(Some(target));
    }
}

async fn accept(
    listener: TcpListener,
    there: Direction,
    back: Direction,
    target: watch::Receiver<Option<SocketAddr>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (there, back, target) = (there.clone(), back.clone(), target.clone());
        connections.spawn(async move {
            // A connection that breaks is one that both ends see break.
            let _ = connect(client, there, back, target).await;
        });
    }
}

async fn connect(
    client: TcpStream,
    there: Direction,
    back: Direction,
    mut target: watch::Receiver<Option<SocketAddr>>,
) -> std::io::Result<()> {
    let known = target.wait_for(Option::is_some).await.map(|known| *known);
    let Ok(Some(address)) = known else {
        return Ok(());
    };
    let server = TcpStream::connect(address).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        there.carry(from_client, to_server),
        back.carry(from_server, to_client)
    )?;
    Ok(())
}

/// One direction of a link, shared by its connections.
#[derive(Debug, Clone)]
struct Direction {
    link: Link,
    /// When the link has sent all that it was given.
    free: Arc<Mutex<Option<Instant>>>,
    /// The bytes that it was given.
    carried: Arc<AtomicU64>,
}

/// Bytes on their way.
struct Parcel {
    bytes: Vec<u8>,
    arrives: Instant,
    _room: OwnedSemaphorePermit,
}

impl Direction {
    fn new(link: Link) -> Self {
        Self {
            link,
            free: Arc::default(),
            carried: Arc::default(),
        }
    }

    /// Takes all of `from` to `to`, and then closes `to`.
    async fn carry<R, W>(&self, from: R, to: W) -> std::io::Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        // The room bounds it.
        let (parcels, arriving) = mpsc::unbounded_channel();
        tokio::try_join!(self.take(from, parcels), deliver(arriving, to))?;
        Ok(())
    }

    async fn take<R: AsyncRead + Unpin>(
        &self,
        mut from: R,
        parcels: mpsc::UnboundedSender<Parcel>,
    ) -> std::io::Result<()> {
        // Of this connection alone: one that nobody reads must not hold up another.
        let room = Arc::new(Semaphore::new(self.link.window()));
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = from.read(&mut buffer).await?;
            self.carried.fetch_add(read as u64, Ordering::Relaxed);
            let bytes = buffer.get(..read).unwrap_or_default().to_vec();
            let wanted = u32::try_from(read).unwrap_or(u32::MAX);
            let Ok(room) = Arc::clone(&room).acquire_many_owned(wanted).await else {
                return Ok(());
            };
            let parcel = Parcel {
                arrives: self.send(Instant::now(), read as u64),
                bytes,
                _room: room,
            };
            if read == 0 || parcels.send(parcel).is_err() {
                return Ok(());
            }
        }
    }

    /// Puts `bytes` on the link at `now`; returns when they arrive.
    fn send(&self, now: Instant, bytes: u64) -> Instant {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let start = free.map_or(now, |free| free.max(now));
        let sent = start + self.link.time_for(bytes);
        *free = Some(sent);
        sent + self.link.delay()
    }
}

async fn deliver<W: AsyncWrite + Unpin>(
    mut arriving: mpsc::UnboundedReceiver<Parcel>,
    mut to: W,
) -> std::io::Result<()> {
    while let Some(parcel) = arriving.recv().await {
        sleep_until(parcel.arrives).await;
        to.write_all(&parcel.bytes).await?;
    }
    to.shutdown().await
}

impl FromStr for Link {
    type Err = NoLink;

    fn from_str(text: &str) -> Result<Self, NoLink> {
        let (rate, round_trip) = text.split_once(',').ok_or(NoLink)?;
        let bits = [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9)];
        let seconds = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
        let bytes = quantity(rate, &bits)? / 8.0;
        let round_trip = quantity(round_trip, &seconds)?;
        if !(125.0..=1.25e11).contains(&bytes) || round_trip > 60.0 {
            return Err(NoLink);
        }
        Ok(Self {
            // In this range no fraction matters.
            rate: bytes as u64,
            round_trip: Duration::try_from_secs_f64(round_trip).map_err(|_| NoLink)?,
        })
    }
}

/// The number in front of one of `units`, times the unit.
fn quantity(text: &str, units: &[(&str, f64)]) -> Result<f64, NoLink> {
    let text = text.trim().to_ascii_lowercase();
    units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .and_then(|(number, factor)| Some(number.trim().parse::<f64>().ok()? * factor))
        .filter(|number| number.is_finite() && *number >= 0.0)
        .ok_or(NoLink)
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mbit = self.rate as f64 * 8.0 / 1e6;
        write!(f, "{mbit}mbit,{}ms", self.round_trip.as_secs_f64() * 1e3)
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    fn link(text: &str) -> Link {
        text.parse().expect("a link")
    }

    #[test]
    fn rates_and_times_are_read() {
        let slow = link("100mbit,20ms");
        assert_eq!(slow.rate, 12_500_000);
        assert_eq!(slow.round_trip, Duration::from_millis(20));
        assert_eq!(link("1.5Gbit, 500us").rate, 187_500_000);
        assert_eq!(link("64kbit,1s").round_trip, Duration::from_secs(1));
        assert_eq!(link(&slow.to_string()), slow);
        for text in [
            "",
            "100mbit",
            "100,20ms",
            "100mbit,20",
            "mbit,1ms",
            "-1mbit,1ms",
            "0mbit,1ms",
            "1mbit,-1ms",
            "nanmbit,1ms",
            "infgbit,1ms",
            "1mbit,1ms,1ms",
            "1mbit,3600s",
        ] {
            assert!(text.parse::<Link>().is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_leave_at_the_rate_and_arrive_half_a_round_trip_later() {
        let direction = Direction::new(link("8mbit,20ms"));
        let now = Instant::now();
        let ms = |ms| now + Duration::from_millis(ms);
        // A million bytes a second: 5,000 take 5 ms, and the second parcel waits for the first.
        assert_eq!(direction.send(now, 5_000), ms(15));
        assert_eq!(direction.clone().send(now, 1_000), ms(16));
        // An idle link saves nothing up.
        assert_eq!(direction.send(ms(100), 1_000), ms(111));
    }

    #[tokio::test]
    async fn a_transfer_takes_no_less_than_its_bytes_through_the_rate_and_one_delay() {
        let direction = Direction::new(link("8mbit,20ms"));
        let (mut near, from) = duplex(1 << 20);
        let (to, mut far) = duplex(1 << 20);
        let sent: Vec<u8> = (0..500_000_u32).map(|n| n as u8).collect();
        let started = Instant::now();
        let write = async {
            near.write_all(&sent).await.expect("written");
            drop(near);
        };
        let read = async {
            let mut came = Vec::new();
            far.read_to_end(&mut came).await.expect("read");
            (came, started.elapsed())
        };
        let ((), carried, (came, took)) = tokio::join!(write, direction.carry(from, to), read);
        carried.expect("carried");
        assert!(came == sent, "the bytes are the same, in the same order");
        // How much more depends on the machine.
        assert!(took >= Duration::from_millis(510), "{took:?}");
    }

    #[tokio::test]
    async fn a_reader_that_stops_stops_the_writer() {
        let slow = link("8mbit,20ms");
        let direction = Direction::new(slow);
        let (mut near, from) = duplex(1_024);
        let (to, _unread) = duplex(1_024);
        let carrying = tokio::spawn(async move { direction.carry(from, to).await });
        let mut taken = 0;
        let chunk = [0_u8; 1_024];
        // The link carries all of it in a third of a second.
        while let Ok(written) =
            tokio::time::timeout(Duration::from_secs(3), near.write(&chunk)).await
        {
            taken += written.expect("written");
        }
        let most = slow.window() + CHUNK + 3 * chunk.len();
        assert!(taken > slow.window() && taken <= most, "{taken} of {most}");
        carrying.abort();
    }

    #[tokio::test]
    async fn connections_wait_for_the_target_and_then_pass_both_ways() {
        let proxy = Proxy::listen(link("1gbit,0ms")).await.expect("listening");
        let mut client = TcpStream::connect(proxy.address())
            .await
            .expect("connected");
        client.write_all(b"question").await.expect("written");
        let server = TcpListener::bind(("127.0.0.1", 0)).await.expect("bound");
        proxy.lead_to(server.local_addr().expect("an address"));
        let (mut at_server, _) = server.accept().await.expect("accepted");
        let mut came = [0; 8];
        at_server.read_exact(&mut came).await.expect("read");
        assert_eq!(&came, b"question");
        at_server.write_all(b"answer").await.expect("written");
        drop(at_server);
        let mut came = Vec::new();
        client.read_to_end(&mut came).await.expect("read");
        assert_eq!(came, b"answer");
    }
}

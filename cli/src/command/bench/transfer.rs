//! The largest table from one process to another, by all who can send it in turns.

use std::time::Duration;

use tokio::process::Command;
use weft_governance::Error;
use workload::bench::{
    BenchError, Carry, Fetch, Leg, Payload, Reader, ReaderKind, Sender, SourceProcess, Transfer,
    cpu_time,
};
use workload::layout::LaidOut;

use super::mesh::Mesh;
use super::{failed, wrong};
use crate::args::BenchArgs;
use crate::client::{Client, SignIn, Target};
use crate::exit::note;

/// Who has the largest table in which layout is looked up by this name.
const TABLE: &str = "lineitem";
/// Whom the door in front of memory knows; it asks for no password.
const ANYBODY: &str = "anybody";

/// Everything that can send, and who reads.
struct Stage<'a> {
    mesh: &'a Mesh,
    domain: &'static str,
    source: SourceProcess,
    readers: Vec<(ReaderKind, Reader)>,
    door: Client,
    node: Client,
    coordinator: Client,
}

/// Has all who can send `data` do so as often as `args` say, in turns, after one turn that is not
/// counted.
///
/// # Errors
/// If a process does not start.
pub(super) async fn measure(
    args: &BenchArgs,
    mesh: &Mesh,
    data: &LaidOut,
) -> Result<Transfer, Error> {
    let mut stage = Stage::set(args, mesh, data).await?;
    let mut transfer = Transfer::default();
    for turn in 0..=args.transfer {
        note(&format!("Transfer {turn} of {}", args.transfer));
        for payload in Payload::ALL {
            stage.turn(payload, turn > 0, &mut transfer).await;
        }
    }
    Ok(transfer)
}

impl<'a> Stage<'a> {
    async fn set(args: &BenchArgs, mesh: &'a Mesh, data: &LaidOut) -> Result<Self, Error> {
        let products = mesh.options().layout.products();
        let mut owners = products.iter().filter(|product| {
            let mut tables = product.tables.iter();
            tables.any(|table| table.name() == TABLE)
        });
        let domain = owners.next().map_or("", |product| product.domain);
        let mut command = own("bench-source")?;
        command.arg("--tables").arg(&data.tables);
        let source = SourceProcess::start(command).await.map_err(of_process)?;
        let reader = Reader::start(own("bench-reader")?).await;
        let mut readers = vec![(ReaderKind::Rust, reader.map_err(of_process)?)];
        match &args.python {
            Some(python) => {
                let reader = Reader::start_python(python).await.map_err(|error| {
                    of_process(error).with_hint(
                        "Name a Python interpreter that has the module `pyarrow` with --python.",
                    )
                })?;
                note(&format!("pyarrow {}", reader.version()));
                readers.push((ReaderKind::Pyarrow, reader));
            }
            None => note("pyarrow is left out: --python names no interpreter."),
        }
        let door = Target {
            url: format!("grpc://{}", source.door()),
            ca_pem: None,
            server: None,
        };
        let anybody = SignIn::Password {
            user: ANYBODY.to_owned(),
            password: ANYBODY.to_owned().into(),
        };
        Ok(Self {
            door: Client::connect(&door, anybody).await?,
            node: mesh.sign_in_at(domain).await?,
            coordinator: mesh.sign_in().await?,
            mesh,
            domain,
            source,
            readers,
        })
    }

    /// One answer for each who sends and each who reads.
    async fn turn(&mut self, payload: Payload, counts: bool, transfer: &mut Transfer) {
        // As many as rows take that are sent before them.
        let mut bytes = 0;
        for sender in [
            Sender::Plain,
            Sender::Tcp,
            Sender::Door,
            Sender::Node,
            Sender::Coordinator,
        ] {
            for number in 0..self.readers.len() {
                let Some((reader, _)) = self.readers.get(number) else {
                    continue;
                };
                let leg = Leg {
                    payload,
                    sender,
                    reader: *reader,
                };
                if sender == Sender::Tcp && *reader != ReaderKind::Rust {
                    continue;
                }
                match self.carry(leg, number, bytes).await {
                    Ok(carry) => {
                        bytes = bytes.max(carry.bytes);
                        if counts {
                            transfer.add(leg, carry);
                        }
                    }
                    Err(error) => transfer.failed(leg, error),
                }
            }
        }
    }

    async fn carry(&mut self, leg: Leg, reader: usize, bytes: u64) -> Result<Carry, Error> {
        let fetch = match leg.sender {
            Sender::Tcp => None,
            _ => Some(self.fetch(leg).await?),
        };
        let tcp = self.source.tcp();
        let before = self.cpu(leg.sender);
        let (_, reader) = self
            .readers
            .get_mut(reader)
            .ok_or_else(|| wrong("there is no such reader".to_owned()))?;
        let carry = match fetch {
            Some(fetch) => reader.flight(fetch).await,
            None => reader.tcp(tcp, bytes).await,
        };
        let carry = carry.map_err(of_process)?;
        let cpu = self.cpu(leg.sender).saturating_sub(before);
        Ok(Carry {
            cpu: carry.cpu + cpu,
            ..carry
        })
    }

    async fn fetch(&mut self, leg: Leg) -> Result<Fetch, Error> {
        let name = leg.payload.to_string();
        let layout = self.mesh.options().layout;
        let sql = layout.qualified(&leg.payload.sql());
        let (client, sql, address) = match leg.sender {
            Sender::Tcp | Sender::Plain => {
                return Ok(Fetch::plain(self.source.plain(), None, name.as_bytes()));
            }
            Sender::Door => (&mut self.door, name, Some(self.source.door())),
            Sender::Node => (&mut self.node, sql, None),
            Sender::Coordinator => (&mut self.coordinator, sql, self.mesh.client_address()),
        };
        let ticket = client.announce(&sql).await?.ticket;
        let bearer = client.bearer().cloned();
        match address {
            Some(address) => Ok(Fetch::plain(address, bearer, &ticket)),
            None => {
                let (address, tls) = self.mesh.node(self.domain)?;
                Ok(Fetch {
                    tls: Some(tls),
                    ..Fetch::plain(address, bearer, &ticket)
                })
            }
        }
    }

    /// Processor time so far of all who have a part in sending.
    fn cpu(&self, sender: Sender) -> Duration {
        let processes = self.mesh.processes();
        let pids: Vec<u32> = match sender {
            Sender::Tcp | Sender::Plain | Sender::Door => vec![self.source.pid()],
            Sender::Node | Sender::Coordinator => processes.iter().map(|(_, pid)| *pid).collect(),
        };
        pids.into_iter().filter_map(cpu_time).sum()
    }
}

/// This program, doing something else.
fn own(what: &str) -> Result<Command, Error> {
    let program = std::env::current_exe()
        .map_err(|error| wrong(format!("this program cannot be found: {error}")))?;
    let mut command = Command::new(program);
    command.arg(what);
    Ok(command)
}

fn of_process(error: BenchError) -> Error {
    failed(&error)
}

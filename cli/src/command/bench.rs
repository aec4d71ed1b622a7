//! `weft bench`: a mesh of real processes beside engines that run in one, on the queries of TPC-H.
//!
//! Starts the mesh and the engines, has them take turns, and prints the report. What is measured and
//! how it is compared belongs to `workload::bench`. Another mode (a filter and a mask in each domain,
//! keys that may not be disclosed) is one more argument that changes [`Options::grants`].

mod mesh;
mod weft;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use tokio::process::Command;
use weft_governance::{Error, ErrorKind, code};
use weft_node::GrantSettings;
use workload::Layout;
use workload::bench::{
    BenchError, DataFusion, DuckDb, Engine, EngineKind, Installed, Link, Machine, Raced, Report,
    Settings, Turns, Verdict, peak_memory, race, serve_datafusion,
};
use workload::layout::{LaidOut, Product};
use workload::tpch::{QUERIES, Query};

use self::mesh::Mesh;
use self::weft::Weft;
use super::demo::Place;
use super::wrong;
use crate::args::{BenchArgs, BenchDatafusionArgs, Other};
use crate::exit::{Exit, note};

/// What the mesh is to be like.
struct Options {
    layout: Layout,
    link: Option<Link>,
    compression: String,
}

impl Options {
    /// What the person who asks may do with `product`: read it as it is.
    fn grants(&self, product: &Product) -> Vec<GrantSettings> {
        vec![GrantSettings {
            user: Some(mesh::PERSON.to_owned()),
            product: product.name.to_owned(),
            ..GrantSettings::default()
        }]
    }
}

/// Measures, prints, and says by the exit code whether all answers were right.
///
/// # Errors
/// If something does not start, or the figures cannot be written.
pub(super) async fn run(args: &BenchArgs) -> Result<Exit, Error> {
    if cfg!(debug_assertions) {
        note(
            "This is a build without optimization: its times mean little, its bytes and rows are right.",
        );
    }
    if let Some(file) = &args.json {
        // Better now than after all the runs.
        write(file, "")?;
    }
    let place = Place::take(None).await?;
    let data = data(args, &place).await?;
    let options = Options {
        layout: args.domains,
        link: args.link,
        compression: compression(args),
    };
    let mesh = Mesh::start(place, &options, &data).await?;
    let measured = measure(args, &mesh, &data).await;
    mesh.stop().await;
    let report = measured?;
    if let Some(file) = &args.json {
        write(file, &format!("{:#}\n", report.to_json()))?;
    }
    write!(std::io::stdout().lock(), "{report}")
        .map_err(|error| wrong(format!("standard output cannot be written: {error}")))?;
    Ok(if report.is_bad() {
        Exit::Query
    } else {
        Exit::Ok
    })
}

/// Which nodes compress what they send. Both ends of a slow link are on this machine, which they
/// would not be if it were one.
fn compression(args: &BenchArgs) -> String {
    let usual = if args.link.is_some() { "lz4" } else { "auto" };
    let asked = args.compression.clone();
    asked.unwrap_or_else(|| usual.to_owned())
}

/// The process of DataFusion.
///
/// # Errors
/// If it cannot serve.
pub(super) async fn datafusion(args: &BenchDatafusionArgs) -> Result<Exit, Error> {
    let served = serve_datafusion(&args.tables).await;
    served.map(|()| Exit::Ok).map_err(|error| failed(&error))
}

/// The tables, made or found.
async fn data(args: &BenchArgs, place: &Place) -> Result<LaidOut, Error> {
    let (layout, scale) = (args.domains, args.scale);
    let folder = match &args.dir {
        Some(dir) => absolute(dir)?.join(format!("scale-{scale}")),
        None => place.folder().join("tpch"),
    };
    note(&format!("Data of scale {scale} in {}", folder.display()));
    tokio::task::spawn_blocking(move || layout.lay_out(&folder, scale))
        .await
        .map_err(|error| wrong(format!("the data could not be made: {error}")))?
        .map_err(|error| wrong(error.to_string()))
}

async fn measure(args: &BenchArgs, mesh: &Mesh, data: &LaidOut) -> Result<Report, Error> {
    let (mut engines, versions) = engines(args, mesh, data).await?;
    let turns = Turns {
        warm_up: args.warm_up,
        runs: args.runs,
    };
    let mut queries = Vec::new();
    for query in chosen(&args.only) {
        let raced = race(&mut engines, query, turns).await;
        note(&progress(&raced));
        queries.push(raced);
    }
    let processes = engines.iter().flat_map(|engine| engine.processes());
    let peak = processes.filter_map(|(name, pid)| Some((name, peak_memory(pid)?)));
    Ok(Report {
        settings: Settings {
            scale: args.scale,
            domains: args.domains.domains(),
            runs: args.runs,
            warm_up: args.warm_up,
            off: args.off.clone(),
            link: args.link,
            compression: compression(args),
        },
        machine: Machine::this(versions),
        queries,
        peak_memory: peak.collect(),
    })
}

type Engines = (Vec<Box<dyn Engine>>, BTreeMap<EngineKind, String>);

/// Weft, and what it is compared with, with their versions.
async fn engines(args: &BenchArgs, mesh: &Mesh, data: &LaidOut) -> Result<Engines, Error> {
    let mut versions = BTreeMap::new();
    let weft = Weft::open(mesh, args.domains, &args.off).await?;
    let mut engines: Vec<Box<dyn Engine>> = vec![Box::new(weft)];
    let own = env!("CARGO_PKG_VERSION").to_owned();
    versions.insert(EngineKind::Weft, own);
    if args.without.contains(&Other::Datafusion) {
        note("Without DataFusion the answers are not checked against it.");
    } else {
        let engine = start_datafusion(&data.tables).await?;
        versions.insert(EngineKind::DataFusion, engine.version().to_owned());
        engines.push(Box::new(engine));
    }
    if !args.without.contains(&Other::Duckdb) {
        match installed(args) {
            Some(installed) => {
                let engine = start_duckdb(&installed, &data.tables).await?;
                versions.insert(EngineKind::DuckDb, engine.version().to_owned());
                engines.push(Box::new(engine));
            }
            None => note(
                "DuckDB is left out: there is no `duckdb` on the PATH, and --python names no interpreter with its module.",
            ),
        }
    }
    Ok((engines, versions))
}

async fn start_datafusion(tables: &Path) -> Result<DataFusion, Error> {
    let program = std::env::current_exe()
        .map_err(|error| wrong(format!("this program cannot be found: {error}")))?;
    let mut command = Command::new(program);
    command.arg("bench-datafusion").arg("--tables").arg(tables);
    let started = DataFusion::start(command).await;
    started.map_err(|error| failed(&error))
}

async fn start_duckdb(installed: &Installed, tables: &Path) -> Result<DuckDb, Error> {
    let started = DuckDb::start(installed, tables).await;
    started.map_err(|error| {
        wrong(error.to_string()).with_hint(
            "Name a Python interpreter that has the module `duckdb` with --python, or leave DuckDB out with --without duckdb.",
        )
    })
}

fn installed(args: &BenchArgs) -> Option<Installed> {
    let named = args.python.clone().map(Installed::Python);
    named.or_else(|| Installed::on_path(&std::env::var_os("PATH")?))
}

/// The queries with these numbers, in their own order; all if none is named.
fn chosen(only: &[usize]) -> impl Iterator<Item = &'static Query> {
    let wanted = |query: &&Query| only.is_empty() || only.contains(&query.number);
    QUERIES.iter().filter(wanted)
}

fn progress(raced: &Raced) -> String {
    let mut line = format!("q{:02}", raced.query);
    for engine in raced.outcomes.keys() {
        if let Some(best) = raced.best(*engine) {
            line.push_str(&format!("  {engine} {:.1} ms", best.as_secs_f64() * 1e3));
        }
    }
    match raced.verdict() {
        Verdict::Equal | Verdict::Unchecked => {}
        Verdict::Wrong(why) => line.push_str(&format!("  WRONG: {why}")),
        Verdict::Failed(why) => line.push_str(&format!("  FAILED: {why}")),
    }
    line
}

fn absolute(dir: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(dir).map_err(|error| unusable(dir, &error))
}

fn write(file: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(file, text).map_err(|error| unusable(file, &error))
}

fn unusable(path: &Path, error: &std::io::Error) -> Error {
    wrong(format!("`{}` cannot be used: {error}", path.display()))
}

/// An error of an engine that Weft is compared with.
fn failed(error: &BenchError) -> Error {
    Error::new(ErrorKind::Internal, code::INTERNAL, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_chosen_by_number_and_run_in_their_order() {
        let numbers = |only: &[usize]| chosen(only).map(|q| q.number).collect::<Vec<_>>();
        assert_eq!(numbers(&[9, 1]), [1, 9]);
        assert_eq!(numbers(&[]).len(), 22);
    }
}

//! `weft bench`: a mesh of real processes beside engines that run in one, on the queries of TPC-H.
//!
//! Starts the mesh and the engines, has them take turns, and prints the report. What is measured and
//! how it is compared belongs to `workload::bench`. Where the grants hold something back, a second mesh
//! over a copy without it takes turns with the first one.

mod calls;
mod catalog;
mod data;
mod door;
mod engines;
mod mesh;
mod transfer;
mod weft;

use std::io::Write;
use std::path::Path;

use weft_governance::{Error, ErrorKind, code};
use workload::bench::{
    BenchError, Grants, Link, Machine, Points, Raced, Report, Settings, Source, Turns, Verdict,
    peak_memory, race, serve_datafusion, serve_transfer_reader,
};
use workload::layout::LaidOut;
use workload::tpch::{QUERIES, Query};

use self::data::Data;
use self::mesh::{Mesh, Options};
use super::demo::Place;
use super::wrong;
use crate::args::{BenchArgs, BenchTablesArgs};
use crate::exit::{Exit, note};

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
    let data = Data::find(args, &place).await?;
    let options = Options {
        layout: args.domains,
        grants: args.grants,
        keys: args.key_disclosure,
        link: args.link.or(args.wire.then_some(Link::DIRECT)),
        crowd: 0,
        compression: compression(args),
    };
    let mesh = Mesh::start(place, options, &data.all).await?;
    let copy = match data.copy(args) {
        Some(copy) => Some(copied(options, copy).await?),
        None => None,
    };
    let mut measured = measure(args, &mesh, copy.as_ref(), &data).await;
    if let (Ok(report), true) = (&mut measured, args.catalog > 0) {
        match catalog::measure(args, &mesh, &data.all).await {
            Ok(planning) => report.planning = Some(planning),
            Err(error) => measured = Err(error),
        }
    }
    if let (Ok(report), true) = (&mut measured, args.transfer > 0) {
        match transfer::measure(args, &mesh, &data.all).await {
            Ok(transfer) => report.transfer = Some(transfer),
            Err(error) => measured = Err(error),
        }
    }
    if let (Ok(report), true) = (&mut measured, args.calls > 0) {
        match calls::measure(args, &mesh, &data.all).await {
            Ok(calls) => report.calls = Some(calls),
            Err(error) => measured = Err(error),
        }
    }
    for mesh in [Some(mesh), copy].into_iter().flatten() {
        mesh.stop().await;
    }
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
fn compression(args: &BenchArgs) -> &'static str {
    let usual = if args.link.is_some() { "lz4" } else { "auto" };
    args.compression.unwrap_or(usual)
}

/// The process of DataFusion.
///
/// # Errors
/// If it cannot serve.
pub(super) async fn datafusion(args: &BenchTablesArgs) -> Result<Exit, Error> {
    let served = serve_datafusion(&args.tables).await;
    served.map(|()| Exit::Ok).map_err(|error| failed(&error))
}

/// The process that sends rows from memory.
///
/// # Errors
/// If it cannot serve.
pub(super) async fn source(args: &BenchTablesArgs) -> Result<Exit, Error> {
    let source = Source::load(&args.tables).map_err(|error| failed(&error))?;
    let door = door::open(source.clone())?;
    let served = source.serve(door.address()).await;
    served.map(|()| Exit::Ok).map_err(|error| failed(&error))
}

/// The process that reads rows.
///
/// # Errors
/// If nobody asks it to.
pub(super) async fn reader() -> Result<Exit, Error> {
    let served = serve_transfer_reader().await;
    served.map(|()| Exit::Ok).map_err(|error| failed(&error))
}

/// A mesh with open grants over `copy`, and otherwise as `options` say.
async fn copied(options: Options, copy: &LaidOut) -> Result<Mesh, Error> {
    let open = Options {
        grants: Grants::Open,
        ..options
    };
    Mesh::start(Place::take(None).await?, open, copy).await
}

async fn measure(
    args: &BenchArgs,
    mesh: &Mesh,
    copy: Option<&Mesh>,
    data: &Data,
) -> Result<Report, Error> {
    let (mut engines, versions) = engines::start(args, mesh, copy, data.visible()).await?;
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
    let points = match args.points {
        0 => None,
        count => Some(Points::race(&mut engines, count, args.scale).await),
    };
    let processes = engines.iter().flat_map(|engine| engine.processes());
    let peak = processes.filter_map(|(name, pid)| Some((name, peak_memory(pid)?)));
    Ok(Report {
        settings: Settings {
            scale: args.scale,
            domains: args.domains.domains(),
            runs: args.runs,
            warm_up: args.warm_up,
            off: args.off.clone(),
            grants: args.grants,
            key_disclosure: args.key_disclosure,
            link: args.link,
            compression: compression(args).to_owned(),
        },
        machine: Machine::this(versions),
        queries,
        points,
        planning: None,
        transfer: None,
        calls: None,
        peak_memory: peak.collect(),
    })
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

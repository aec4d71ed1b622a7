//! Planning in a mesh with few products, and in one with many.

use weft_governance::Error;
use workload::bench::{EngineKind, Planning};
use workload::layout::LaidOut;
use workload::tpch::QUERIES;

use super::mesh::{Mesh, Options};
use super::weft::Weft;
use super::wrong;
use crate::args::BenchArgs;
use crate::command::demo::Place;
use crate::exit::note;

/// Reads tables of three domains.
const QUERY: usize = 5;
/// Measured rounds, after a tenth as many that are not.
const ROUNDS: usize = 50;

/// Plans a query in `mesh`, which serves `data`, and in a mesh with more products in turns.
///
/// # Errors
/// If the second mesh does not start, or the query is not planned.
pub(super) async fn measure(
    args: &BenchArgs,
    mesh: &Mesh,
    data: &LaidOut,
) -> Result<Planning, Error> {
    let place = Place::take(None).await?;
    let (layout, folder, few) = (args.domains, place.folder().join("crowd"), data.clone());
    let count = args.catalog;
    note(&format!("A catalog of {count} more products"));
    let many = tokio::task::spawn_blocking(move || layout.lay_out_crowd(&few, &folder, count));
    let many = many
        .await
        .map_err(|error| wrong(format!("the products could not be made: {error}")))?
        .map_err(|error| wrong(error.to_string()))?;
    let options = Options {
        crowd: count,
        ..mesh.options()
    };
    let crowded = Mesh::start(place, options, &many).await?;
    let measured = take_turns(args, mesh, &crowded).await;
    crowded.stop().await;
    measured
}

async fn take_turns(args: &BenchArgs, few: &Mesh, many: &Mesh) -> Result<Planning, Error> {
    let mut few = Weft::open(EngineKind::Weft, few, &args.off).await?;
    let mut many = Weft::open(EngineKind::Weft, many, &args.off).await?;
    many.settle().await?;
    let mut planning = Planning::new(QUERY, args.catalog);
    let sql = QUERIES.iter().find(|query| query.number == QUERY);
    let sql = sql.map_or("", |query| query.sql);
    for round in 0..ROUNDS + ROUNDS / 10 {
        let (few, many) = (few.plan(sql).await?, many.plan(sql).await?);
        if round >= ROUNDS / 10 {
            planning.add(few, many);
        }
    }
    Ok(planning)
}

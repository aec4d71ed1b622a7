//! The engines that take turns.

use std::collections::BTreeMap;
use std::path::Path;

use tokio::process::Command;
use weft_governance::Error;
use workload::bench::{DataFusion, DuckDb, Engine, EngineKind, Installed};
use workload::layout::LaidOut;

use super::mesh::Mesh;
use super::weft::Weft;
use super::{failed, wrong};
use crate::args::{BenchArgs, Other};
use crate::exit::note;

/// Engines, and their versions.
pub(super) type Engines = (Vec<Box<dyn Engine>>, BTreeMap<EngineKind, String>);

/// Weft, and what it is compared with, over `visible` data.
///
/// # Errors
/// If one does not start, or the copy is none.
pub(super) async fn start(
    args: &BenchArgs,
    mesh: &Mesh,
    copy: Option<&Mesh>,
    visible: &LaidOut,
) -> Result<Engines, Error> {
    let mut versions = BTreeMap::new();
    let own = env!("CARGO_PKG_VERSION").to_owned();
    let mut weft = Weft::open(EngineKind::Weft, mesh, &args.off).await?;
    versions.insert(EngineKind::Weft, own.clone());
    let mut engines: Vec<Box<dyn Engine>> = Vec::new();
    if let Some(copy) = copy {
        let mut copy = Weft::open(EngineKind::Copy, copy, &args.off).await?;
        weft.compare_guarded(&mut copy).await?;
        versions.insert(EngineKind::Copy, own);
        engines.push(Box::new(copy));
    }
    engines.insert(0, Box::new(weft));
    if args.without.contains(&Other::Datafusion) {
        note("Without DataFusion the answers are not checked against it.");
    } else {
        let engine = start_datafusion(&visible.tables).await?;
        versions.insert(EngineKind::DataFusion, engine.version().to_owned());
        engines.push(Box::new(engine));
    }
    if !args.without.contains(&Other::Duckdb) {
        match installed(args) {
            Some(installed) => {
                let engine = start_duckdb(&installed, &visible.tables).await?;
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

pub(super) async fn start_datafusion(tables: &Path) -> Result<DataFusion, Error> {
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

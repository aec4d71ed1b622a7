//! The tables, and what is visible of them.

use std::path::{Path, PathBuf};

use weft_governance::Error;
use workload::WorkloadError;
use workload::bench::Grants;
use workload::layout::LaidOut;

use super::{unusable, wrong};
use crate::args::{BenchArgs, Other};
use crate::command::demo::Place;
use crate::exit::note;

/// The tables on disk.
pub(super) struct Data {
    /// Whole, for the mesh that is measured.
    pub(super) all: LaidOut,
    /// Without what its grants hold back, if somebody is to be compared with.
    visible: Option<LaidOut>,
}

impl Data {
    /// Makes or finds them in the folder that was named, or in `place`.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(super) async fn find(args: &BenchArgs, place: &Place) -> Result<Self, Error> {
        let (layout, scale) = (args.domains, args.scale);
        let folder = match &args.dir {
            Some(dir) => absolute(dir)?.join(format!("scale-{scale}")),
            None => place.folder().join("tpch"),
        };
        note(&format!("Data of scale {scale} in {}", folder.display()));
        let whole = folder.clone();
        let all = tokio::task::spawn_blocking(move || layout.lay_out(&whole, scale))
            .await
            .map_err(|error| wrong(format!("the data could not be made: {error}")))?
            .map_err(unwritten)?;
        let alone = [Other::Copy, Other::Datafusion, Other::Duckdb];
        let alone = alone.iter().all(|other| args.without.contains(other));
        let visible = match args.grants {
            Grants::Guarded if !alone => {
                let visible = folder.join("visible");
                let laid = layout.lay_out_visible(&all, &visible, scale).await;
                Some(laid.map_err(unwritten)?)
            }
            Grants::Guarded | Grants::Open => None,
        };
        Ok(Self { all, visible })
    }

    /// What the grants show of the tables.
    pub(super) fn visible(&self) -> &LaidOut {
        self.visible.as_ref().unwrap_or(&self.all)
    }

    /// What a second mesh is to serve, if there is to be one.
    pub(super) fn copy(&self, args: &BenchArgs) -> Option<&LaidOut> {
        let wanted = !args.without.contains(&Other::Copy);
        self.visible.as_ref().filter(|_| wanted)
    }
}

fn absolute(dir: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(dir).map_err(|error| unusable(dir, &error))
}

fn unwritten(error: WorkloadError) -> Error {
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    wrong(format!("{error}{}", cause.unwrap_or_default()))
}

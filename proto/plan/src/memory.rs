//! Memory for running plans: one bounded pool, a share of it for each plan, with spilling to disk where
//! that is right.

mod share;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::execution::TaskContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::object_store::ObjectStore;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::NestedLoopJoinExec;
use weft_governance::Error;

use crate::failure::from_datafusion;
use share::Share;

/// Largest consumers that an error names.
const NAMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4);

/// Files that one sort reads at a time. Without a limit the first sort to merge takes all the memory
/// that there is, and the next one fails.
const MERGED: usize = 8;

/// Bytes that one plan may write to disk, unless something else is said.
const SPILL: u64 = 10 << 30;

/// One memory pool behind two runtimes.
#[derive(Debug, Clone)]
pub struct Memory {
    spilling: Arc<RuntimeEnv>,
    refusing: Arc<RuntimeEnv>,
    most: usize,
    spill: u64,
}

impl Memory {
    /// At most `bytes` for all plans together.
    ///
    /// # Errors
    /// If the engine's runtime cannot be set up.
    pub fn new(bytes: usize) -> Result<Self, Error> {
        let pool: Arc<dyn MemoryPool> =
            Arc::new(TrackConsumersPool::new(FairSpillPool::new(bytes), NAMED));
        let runtime = |mode| {
            RuntimeEnvBuilder::new()
                .with_memory_pool(Arc::clone(&pool))
                .with_disk_manager_builder(
                    DiskManagerBuilder::default()
                        .with_mode(mode)
                        .with_max_spill_merge_fan_in(MERGED),
                )
                .build_arc()
                .map_err(from_datafusion)
        };
        Ok(Self {
            spilling: runtime(DiskManagerMode::OsTmpDirectory)?,
            refusing: runtime(DiskManagerMode::Disabled)?,
            most: bytes,
            spill: SPILL,
        })
    }

    /// The same, of which one plan may use `bytes`, or all if that is less, and may write `spill` bytes to
    /// disk.
    #[must_use]
    pub fn with_shares(self, bytes: usize, spill: u64) -> Self {
        Self {
            most: bytes.min(self.most),
            spill,
            ..self
        }
    }

    /// The same, whose plans read files of this machine from `store`.
    #[must_use]
    pub fn with_files(self, store: &Arc<dyn ObjectStore>) -> Self {
        for runtime in [&self.spilling, &self.refusing] {
            let url = ObjectStoreUrl::local_filesystem();
            runtime.register_object_store(url.as_ref(), Arc::clone(store));
        }
        self
    }

    /// Bytes that one plan may use.
    pub fn share(&self) -> usize {
        self.most
    }

    /// Bytes that plans have reserved.
    pub fn reserved(&self) -> usize {
        self.spilling.memory_pool.reserved()
    }

    /// The runtime to plan with.
    pub fn runtime(&self) -> &Arc<RuntimeEnv> {
        &self.spilling
    }

    /// The context to run `plan` in, with its share of the memory.
    ///
    /// A nested loop join of DataFusion 55.2 that runs out of memory goes on from disk and loses
    /// rows when its left side is a join too. Without a disk it is refused instead.
    pub fn context(&self, plan: &dyn ExecutionPlan, context: Arc<TaskContext>) -> Arc<TaskContext> {
        let runtime = match has_nested_loop(plan) {
            true => self.of_one_plan(&self.refusing, DiskManagerMode::Disabled),
            false => self.of_one_plan(&self.spilling, DiskManagerMode::OsTmpDirectory),
        };
        // The functions that it calls are in the plan: copies of those of the session are of no use.
        let context = TaskContext::new(
            context.task_id(),
            context.session_id(),
            context.session_config().clone(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            Arc::new(runtime),
        );
        Arc::new(context)
    }

    /// `shared` with a share of its memory, and with files of its own.
    fn of_one_plan(&self, shared: &RuntimeEnv, mode: DiskManagerMode) -> RuntimeEnv {
        let files = DiskManagerBuilder::default()
            .with_mode(mode)
            .with_max_temp_directory_size(self.spill)
            .with_max_spill_merge_fan_in(MERGED)
            .build();
        let shared = shared.clone();
        RuntimeEnv {
            memory_pool: Share::of(Arc::clone(&shared.memory_pool), self.most),
            disk_manager: files.map_or(shared.disk_manager, Arc::new),
            ..shared
        }
    }
}

fn has_nested_loop(plan: &dyn ExecutionPlan) -> bool {
    plan.downcast_ref::<NestedLoopJoinExec>().is_some()
        || plan
            .children()
            .into_iter()
            .any(|child| has_nested_loop(child.as_ref()))
}

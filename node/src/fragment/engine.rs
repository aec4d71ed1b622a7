//! Decodes fragments, plans them over what a permit allows, and runs them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::object_store::ObjectStore;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::AsLogicalPlan;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::Semaphore;
use weft_door::{Origin, with_origins};
use weft_governance::{
    DomainId, Error, ErrorKind, FragmentId, QueryId, TableAccess, TableRef, code,
};
use weft_plan::{
    Effort, FragmentFunctions, Interrupt, LeafCodec, Memory, PlainColumn, PlannerThreads,
    QuerySession, QuerySessions, RunningPlans, Semantics, Tables, Workers, bind_parameters,
    bounded_calls, fingerprint, from_datafusion, guarded, is_plain_plan, looks_up, only_selects,
    parameter_schema, plain_columns, plan_query, product_accesses, product_table_of,
    session_config, shipped_table_of, weigh, whole_groups,
};
use weft_sql::{ast, is_plain};
use weft_wire::protocol::FRAGMENT_ENCODING;
use weft_wire::rpc::fragment::{self as rpc, FragmentRequest, KeyFilter, TableExpectation};
use weft_wire::token::sha256;

use super::allow::{self, Allowed, FragmentLimits};
use super::arrival::cast_to;
use super::shipped::Shipments;
use super::{Fragment, Via, key_filter};
use crate::enforce::{Account, Binding, Meter, Parts, Permit, Standing, bind};
use crate::incident;
use crate::product::NearFiles;
use crate::rechunk::rechunk;

/// Bytes of an encoded plan that is decoded in less time than it takes to hand it to another thread.
const BRIEF: usize = 2 << 10;

/// Bytes of the smallest file of which several threads read parts to look rows up.
const SHARED_FILE: usize = 8 << 20;

/// How often one query may read the event log.
const MOST_READINGS: usize = 8;

/// What the engine may use.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Bytes of memory for all running fragments together.
    pub memory: usize,
    /// Bytes of memory for one of them.
    pub query_memory: usize,
    /// Bytes that one of them may write to disk when memory is short.
    pub query_spill: usize,
    /// Fragments, and queries of people who connect straight, at a time.
    pub max_concurrent: usize,
    /// Partitions of one fragment's plan.
    pub partitions: usize,
    /// Planning threads at a time.
    pub planner_threads: usize,
    /// How large a fragment may be.
    pub limits: FragmentLimits,
}

/// Plans and runs fragments of one domain.
#[derive(Debug, Clone)]
pub struct Engine {
    domain: DomainId,
    functions: Arc<FragmentFunctions>,
    function_names: Arc<BTreeSet<String>>,
    planner: PlannerThreads,
    memory: Memory,
    workers: Workers,
    running: RunningPlans,
    places: Arc<Semaphore>,
    started: Arc<AtomicU64>,
    /// By time zone, and whether groups stay whole.
    states: QuerySessions<(String, bool)>,
    /// By time zone, for what looks a few rows up.
    looking_up: QuerySessions<String>,
    settings: EngineSettings,
}

/// A running fragment.
pub struct Running {
    /// The schema of its batches.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Rows,
    /// Stops it.
    pub interrupt: Interrupt,
    /// Whether it looks a few rows up in little that there is.
    pub(crate) is_short: bool,
    /// Tells when it has to stop.
    pub(crate) standing: Standing,
    /// Has to be told how it ended.
    pub(crate) account: Account,
}

/// A query that came as SQL, as far as it could be planned.
pub(crate) struct PlannedSql {
    /// The schema of its answer.
    pub(crate) schema: SchemaRef,
    /// That of its parameters.
    pub(crate) parameters: SchemaRef,
    /// Its plan, unless it has parameters and they have no values.
    pub(crate) fragment: Option<Fragment>,
}

impl PlannedSql {
    /// Its plan.
    ///
    /// # Errors
    /// If its parameters have no values.
    pub(crate) fn bound(self) -> Result<Fragment, Error> {
        self.fragment.ok_or_else(unbound)
    }
}

type Rows = BoxStream<'static, Result<RecordBatch, Error>>;
type Started = (SchemaRef, (Rows, bool), Interrupt, Standing);

/// What was made of a plan.
struct Planned {
    rows: Rows,
    interrupt: Interrupt,
    /// Bytes of the files that it reads, where that is known.
    bytes: Option<u64>,
}

impl Engine {
    /// An engine for `domain`.
    ///
    /// # Errors
    /// If the engine's runtime cannot be set up.
    pub fn new(domain: DomainId, settings: EngineSettings) -> Result<Self, Error> {
        let functions = FragmentFunctions::of_this_version();
        let files: Arc<dyn ObjectStore> = Arc::new(NearFiles::default());
        Ok(Self {
            domain,
            function_names: Arc::new(functions.names()),
            functions: Arc::new(functions),
            planner: PlannerThreads::new(settings.planner_threads)?,
            memory: Memory::new(settings.memory)?
                .with_shares(settings.query_memory, settings.query_spill as u64)
                .with_files(&files),
            places: Arc::new(Semaphore::new(settings.max_concurrent.max(1))),
            started: Arc::default(),
            workers: Workers::start(settings.partitions)?,
            running: RunningPlans::default(),
            states: QuerySessions::default(),
            looking_up: QuerySessions::default(),
            settings,
        })
    }

    /// Names of the functions that fragments may use.
    pub fn function_names(&self) -> &BTreeSet<String> {
        &self.function_names
    }

    /// The threads that fragments run on.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Fragments of which some part computes.
    pub fn running(&self) -> usize {
        self.running.count()
    }

    /// Fragments that were started.
    pub fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// Bytes of memory that fragments have reserved.
    pub fn reserved(&self) -> usize {
        self.memory.reserved()
    }

    /// The threads that deep statements are planned on.
    pub fn planner(&self) -> &PlannerThreads {
        &self.planner
    }

    /// Checks and decodes what a coordinator sent; `digest` is that of its bytes.
    ///
    /// # Errors
    /// `WEFT-PROTOCOL` for another encoding, `WEFT-FRAGMENT-REFUSED` for anything outside the
    /// allow-list, before a byte of it is converted.
    pub async fn decode(
        &self,
        request: FragmentRequest,
        via: Via,
        digest: [u8; 32],
    ) -> Result<Fragment, Error> {
        let FragmentRequest {
            query_id,
            ordinal,
            encoding,
            plan,
            timeout_ms,
            semantics,
            tables,
            output_schema,
            keys_follow,
            shipped,
            compression: _,
            purpose: _,
            reservation: _,
            tell_last_row: _,
        } = request;
        if encoding != FRAGMENT_ENCODING {
            return Err(protocol(format!(
                "the fragment is encoded as `{encoding}`, and this node reads `{FRAGMENT_ENCODING}`"
            )));
        }
        let query: QueryId = query_id.parse().map_err(|_| malformed("query id"))?;
        if timeout_ms == 0 {
            return Err(malformed("timeout"));
        }
        let rpc::Semantics {
            time_zone,
            query_start_ns,
        } = semantics.ok_or_else(|| malformed("settings"))?;
        let semantics = Semantics {
            time_zone,
            query_start_ns,
        };
        let output = Arc::new(schema_from(&output_schema)?);
        let engine = self.clone();
        let session = self.session(&semantics, false)?;
        let context = Arc::clone(&session.context);
        let pool = &self.memory.runtime().memory_pool;
        let came = Shipments::decode(shipped, pool)?;
        let effort = Effort::brief_if(plan.len() <= BRIEF);
        let converting = move || engine.convert(&context, &plan, &tables);
        let (plan, accesses) = self.planner.run(effort, converting).await?;
        let (plan, shipments, memory) = came.put_into(plan)?;
        let plain = is_plain_plan(&plan);
        let looks_up = plain && (looks_up(&plan) || keys_follow && only_selects(&plan));
        let session = match looks_up {
            true => self.looking_up(&semantics)?,
            false => session,
        };
        if !same_columns(plan.schema().as_arrow(), &output) {
            return Err(Error::new(
                ErrorKind::SchemaDrift,
                code::SCHEMA_DRIFT,
                "the fragment's answer does not have the schema that its sender expects",
            ));
        }
        Ok(Fragment {
            id: FragmentId { query, ordinal },
            via,
            plain,
            looks_up,
            plan,
            accesses,
            digest,
            session,
            timeout: Duration::from_millis(timeout_ms),
            output,
            keys: Vec::new(),
            shipments,
            memory: Some(memory),
        })
    }

    /// `fragment` without the rows that do not have the keys in `filters`.
    ///
    /// # Errors
    /// `WEFT-PROTOCOL` for keys that do not fit its answer, `WEFT-RESOURCES` for more than there is
    /// memory for.
    pub fn reduce(&self, fragment: Fragment, filters: Vec<KeyFilter>) -> Result<Fragment, Error> {
        let pool = &self.memory.runtime().memory_pool;
        let (plan, keys) = key_filter::apply(fragment.plan, filters, pool)?;
        Ok(Fragment {
            plan,
            keys,
            ..fragment
        })
    }

    /// The schema of what a query that came as SQL answers, over `tables` of the server itself and with
    /// `values` if there are any, and that of its parameters.
    ///
    /// # Errors
    /// If the query does not fit the tables.
    pub(crate) async fn describe(
        &self,
        sql: ast::Query,
        tables: Tables,
        values: Vec<ScalarValue>,
        semantics: Semantics,
    ) -> Result<(SchemaRef, SchemaRef), Error> {
        let session = self.session(&semantics, false)?;
        let values = Some(values).filter(|values| !values.is_empty());
        let planning = move || {
            let (schema, parameters, _) = plan_sql(&session, &tables, sql, values)?;
            Ok((schema, parameters))
        };
        self.planner.run(Effort::Any, planning).await
    }

    /// Plans a query that came as SQL on a connection of its own, over `tables`; groups of their rows
    /// stay whole if they are `grouped`. Without `values`, one that has parameters is not planned to the end.
    ///
    /// # Errors
    /// If the query does not fit the tables, or the values do not fit the query.
    pub(crate) async fn plan(
        &self,
        sql: ast::Query,
        (tables, grouped): (Tables, bool),
        values: Option<Vec<ScalarValue>>,
        semantics: Semantics,
        timeout: Duration,
    ) -> Result<PlannedSql, Error> {
        let effort = Effort::brief_if(is_plain(&sql));
        let session = self.session(&semantics, grouped)?;
        let looking_up = match is_plain(&sql) && !grouped {
            true => Some(self.looking_up(&semantics)?),
            false => None,
        };
        let planning = move || {
            let digest = sha256(sql.to_string().as_bytes());
            let (schema, parameters, plan) = plan_sql(&session, &tables, sql, values)?;
            let Some(plan) = plan else {
                return Ok(PlannedSql {
                    schema,
                    parameters,
                    fragment: None,
                });
            };
            let looking_up = looking_up.filter(|_| looks_up(&plan));
            let fragment = Fragment {
                id: FragmentId {
                    query: QueryId::generate(),
                    ordinal: 0,
                },
                via: Via::Directly,
                accesses: accesses(&plan)?,
                output: Arc::new(plan.schema().as_arrow().clone()),
                plain: is_plain_plan(&plan),
                looks_up: looking_up.is_some(),
                session: looking_up.unwrap_or(session),
                plan,
                digest,
                timeout,
                keys: Vec::new(),
                shipments: Vec::new(),
                memory: None,
            };
            Ok(PlannedSql {
                schema,
                parameters,
                fragment: Some(fragment),
            })
        };
        self.planner.run(effort, planning).await
    }

    /// Runs what `permit` allows.
    ///
    /// # Errors
    /// If the plan cannot be made. Errors of the run itself come in the stream. Messages hold no
    /// value of the data and no path; those stay in this node's log.
    pub async fn run(&self, permit: Permit) -> Result<Running, Error> {
        let (parts, account) = permit.into_parts();
        let meter = account.meter().clone();
        match self.start(parts, meter).await {
            Ok((schema, (batches, is_short), interrupt, standing)) => Ok(Running {
                schema,
                batches,
                interrupt,
                is_short,
                standing,
                account,
            }),
            Err(error) => {
                account.failed(&error);
                Err(error)
            }
        }
    }

    /// Runs a query that came as SQL over `tables` of the server itself, for which no right is needed.
    ///
    /// # Errors
    /// If the query does not fit the tables, or reads a product.
    pub(crate) async fn read(
        &self,
        sql: ast::Query,
        tables: Tables,
        parameters: Vec<ScalarValue>,
        semantics: Semantics,
    ) -> Result<(SchemaRef, Rows, Interrupt), Error> {
        let session = self.session(&semantics, false)?;
        let (plan, session) = self
            .planner
            .run(Effort::Any, move || {
                let (_, _, plan) = plan_sql(&session, &tables, sql, Some(parameters))?;
                Ok((plan.ok_or_else(unbound)?, session))
            })
            .await?;
        let schema: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
        let id = FragmentId {
            query: QueryId::generate(),
            ordinal: 0,
        };
        let planned = self.rows(id, plan, (None, false), session).await?;
        let Planned {
            rows, interrupt, ..
        } = planned;
        let output = Arc::clone(&schema);
        let rows = rows.map(move |batch| batch.and_then(|batch| announced(&output, &batch)));
        Ok((schema, rows.boxed(), interrupt))
    }

    /// The rows of `plan` over what `bindings` allow; without them, of one that reads no product.
    async fn rows(
        &self,
        id: FragmentId,
        plan: LogicalPlan,
        (bindings, plain): (Option<BTreeMap<TableRef, Binding>>, bool),
        session: QuerySession,
    ) -> Result<Planned, Error> {
        let QuerySession { state, context } = session;
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| self.busy())?;
        self.started.fetch_add(1, Ordering::Relaxed);
        let interrupt = self.running.start();
        let signal = interrupt.clone();
        let planning = async move {
            let plan = match bindings {
                Some(bindings) => bind(plan, &bindings)?,
                None => of_the_server(plan)?,
            };
            let plan = bounded_calls(plan, &signal).map_err(|e| incident::hide(id, e))?;
            let plan = state.create_physical_plan(&plan).await;
            plan.and_then(|plan| signal.guard(plan))
                .map_err(|e| incident::hide(id, e))
        };
        let most = context.session_config().batch_size();
        let options = context.session_config().options();
        let searches_files = options.execution.parquet.pushdown_filters;
        let effort = Effort::brief_if(plain);
        let physical = self.planner.run_async(effort, planning).await?;
        let context = self.memory.context(physical.as_ref(), context);
        let bytes = bytes_of_files(physical.as_ref());
        let stream = self.workers.execute(physical, context);
        let stream = stream.map_err(|e| incident::hide(id, e))?;
        let schema = stream.schema();
        let stream = match searches_files {
            // A file that is searched gives a batch for each of its parts in which a row was found.
            true => rechunk(stream.boxed(), schema, most),
            false => stream.boxed(),
        };
        let rows = stream
            .map_err(move |error| incident::hide(id, error))
            // Its place is taken until the last was sent.
            .inspect(move |_| _ = &place);
        Ok(Planned {
            rows: rows.boxed(),
            interrupt,
            bytes,
        })
    }

    async fn start(&self, parts: Parts, meter: Meter) -> Result<Started, Error> {
        let Parts {
            fragment,
            bindings,
            audit,
            standing,
        } = parts;
        let Fragment {
            id,
            plan,
            session,
            plain,
            looks_up,
            output,
            memory,
            ..
        } = fragment;
        let planned = self.rows(id, plan, (Some(bindings), plain), session);
        let Planned {
            rows,
            interrupt,
            bytes,
        } = planned.await?;
        let is_short = looks_up && bytes.is_some_and(|bytes| bytes <= SHARED_FILE as u64);
        let schema = Arc::clone(&output);
        let mut batches = rows
            .map(move |batch| batch.and_then(|batch| announced(&output, &batch)))
            .and_then(move |batch| {
                let meter = meter.clone();
                async move { meter.pass(batch).await }
            })
            // Rows that came along are there until the last was sent.
            .inspect(move |_| _ = &memory)
            .boxed();
        // The disk writes while the first rows are computed; they leave when both are done.
        let audited = async move {
            let (first, durable) = tokio::join!(batches.next(), audit.durable());
            durable.map(|()| futures::stream::iter(first).chain(batches))
        };
        let batches = futures::stream::once(audited).try_flatten().boxed();
        Ok((schema, (batches, is_short), interrupt, standing))
    }

    fn busy(&self) -> Error {
        let message = format!(
            "the node runs {} fragments, as many as it does at a time",
            self.settings.max_concurrent
        );
        Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message)
            .with_hint("Try again when some of them have ended.")
            .retry_after(Duration::from_secs(1))
    }

    fn convert(
        &self,
        context: &TaskContext,
        plan: &[u8],
        expected: &[TableExpectation],
    ) -> Result<(LogicalPlan, Vec<TableAccess>), Error> {
        let Allowed { plan, accesses } = allow::check(
            plan,
            &self.domain,
            &self.function_names,
            &self.settings.limits,
        )?;
        let codec = LeafCodec::new(self.domain.clone());
        let plan = plan
            .try_into_logical_plan(context, &codec)
            .map_err(|error| incident::unnumbered("a fragment could not be decoded", error))?;
        weigh(&plan)?;
        check_leaves(&plan, expected)?;
        Ok((plan, accesses))
    }

    /// For the node's own reading in the background: one partition after the other, each alone.
    ///
    /// # Errors
    /// If the engine's settings do not fit.
    pub(crate) fn background_session(&self) -> Result<SessionState, Error> {
        let semantics = Semantics {
            time_zone: "+00:00".to_owned(),
            query_start_ns: 0,
        };
        let mut config = session_config(&semantics, 1).map_err(from_datafusion)?;
        // A partition that runs alone would take the files of the others.
        config
            .options_mut()
            .execution
            .enable_file_stream_work_stealing = false;
        Ok(guarded(SessionStateBuilder::new_with_default_features())
            .with_config(config)
            .with_runtime_env(Arc::clone(self.memory.runtime()))
            .build())
    }

    fn session(&self, semantics: &Semantics, grouped: bool) -> Result<QuerySession, Error> {
        let key = (semantics.time_zone.clone(), grouped);
        let session = self.states.like(key, semantics.query_start_ns, |_| {
            let rules = match grouped {
                true => whole_groups(SessionStateBuilder::new_with_default_features()),
                false => guarded(SessionStateBuilder::new_with_default_features()),
            };
            self.state(semantics, rules, |_| {})
        });
        session.map_err(from_datafusion)
    }

    /// The session for what looks a few rows up. Its rows stay on the thread that reads them: to pass them to
    /// others, and to have several open one file, takes longer than to find them. And of most rows no more is made
    /// than the columns that they are told apart by.
    fn looking_up(&self, semantics: &Semantics) -> Result<QuerySession, Error> {
        let key = semantics.time_zone.clone();
        let session = self.looking_up.like(key, semantics.query_start_ns, |_| {
            let rules = guarded(SessionStateBuilder::new_with_default_features());
            self.state(semantics, rules, |options| {
                options.optimizer.enable_round_robin_repartition = false;
                options.optimizer.repartition_file_min_size = SHARED_FILE;
                options.execution.parquet.pushdown_filters = true;
            })
        });
        session.map_err(from_datafusion)
    }

    fn state(
        &self,
        semantics: &Semantics,
        rules: SessionStateBuilder,
        change: impl FnOnce(&mut ConfigOptions),
    ) -> Result<SessionState, DataFusionError> {
        let mut config = session_config(semantics, self.settings.partitions)?;
        let options = config.options_mut();
        // What comes is optimized already, but for what is laid over it here.
        options.optimizer.max_passes = 1;
        change(options);
        Ok(rules
            .with_config(config)
            .with_runtime_env(Arc::clone(self.memory.runtime()))
            .with_scalar_functions(self.functions.scalar.clone())
            .with_aggregate_functions(self.functions.aggregate.clone())
            .with_window_functions(self.functions.window.clone())
            .with_higher_order_functions(Vec::new())
            .with_table_functions(HashMap::new())
            .with_file_formats(Vec::new())
            .build())
    }
}

/// Bytes of the files that `plan` reads, if it is seen to read any.
fn bytes_of_files(plan: &dyn ExecutionPlan) -> Option<u64> {
    let source = plan.downcast_ref::<DataSourceExec>();
    if let Some(files) = source.and_then(|it| it.data_source().downcast_ref::<FileScanConfig>()) {
        let files = files.file_groups.iter().flat_map(|group| group.iter());
        return Some(files.map(|file| file.object_meta.size).sum());
    }
    let inputs = plan.children().into_iter();
    inputs
        .filter_map(|input| bytes_of_files(input.as_ref()))
        .reduce(u64::saturating_add)
}

/// The schema of what `sql` answers over `tables`, that of its parameters, and its plan, if the parameters
/// have `values` or there are none.
fn plan_sql(
    session: &QuerySession,
    tables: &Tables,
    sql: ast::Query,
    values: Option<Vec<ScalarValue>>,
) -> Result<(SchemaRef, SchemaRef, Option<LogicalPlan>), Error> {
    let plan = plan_query(&session.state, tables, sql)?;
    let parameters = parameter_schema(&plan)?;
    // Of the plan as it is written: a better one may know less of where columns come from.
    let origins = origins(&plan);
    if values.is_none() && !parameters.fields().is_empty() {
        let schema = with_origins(plan.schema().as_arrow(), &origins);
        return Ok((schema, parameters, None));
    }
    let plan = bind_parameters(plan, values.unwrap_or_default())?;
    let plan = session.state.optimize(&plan).map_err(from_datafusion)?;
    let schema = with_origins(plan.schema().as_arrow(), &origins);
    Ok((schema, parameters, Some(plan)))
}

fn unbound() -> Error {
    let message = "the statement has parameters without values";
    Error::new(ErrorKind::InvalidInput, code::PLAN, message)
        .with_hint("Bind a value for each parameter.")
}

/// Every leaf of the converted plan must be rows that came along, or a product table with the schema
/// that was announced.
fn check_leaves(plan: &LogicalPlan, expected: &[TableExpectation]) -> Result<(), Error> {
    let mut problem = None;
    visit_scans(plan, &mut |scan| {
        if shipped_table_of(scan).is_some() {
            return;
        }
        let Some(table) = product_table_of(scan) else {
            problem = Some(malformed("leaf"));
            return;
        };
        let announced = expected.iter().find(|expectation| {
            expectation.product == table.table().product().product()
                && expectation.table == table.table().table()
        });
        let same = announced
            .is_some_and(|e| e.schema_fingerprint == fingerprint(&table.schema()).as_slice());
        if !same {
            problem = Some(malformed("schema fingerprint"));
        }
    })?;
    problem.map_or(Ok(()), Err)
}

/// What a plan made here reads: products alone.
fn accesses(plan: &LogicalPlan) -> Result<Vec<TableAccess>, Error> {
    let mut foreign = false;
    visit_scans(plan, &mut |scan| {
        foreign |= product_table_of(scan).is_none()
    })?;
    match foreign {
        true => Err(malformed("leaf")),
        false => product_accesses(plan),
    }
}

/// `plan`, if it reads no product, and what it reads not too often: each reading holds a page.
fn of_the_server(plan: LogicalPlan) -> Result<LogicalPlan, Error> {
    let (mut product, mut scans) = (false, 0);
    visit_scans(&plan, &mut |scan| {
        product |= product_table_of(scan).is_some();
        scans += 1;
    })?;
    match (product, scans) {
        (true, _) => Err(malformed("leaf")),
        (false, 0..=MOST_READINGS) => Ok(plan),
        (false, _) => Err(Error::new(
            ErrorKind::ResourceExhausted,
            code::TOO_COMPLEX,
            format!("the query reads the event log {scans} times, and {MOST_READINGS} are allowed"),
        )
        .with_hint("Name what it reads in a WITH clause that reads it once, or ask for less.")),
    }
}

fn visit_scans(
    plan: &LogicalPlan,
    f: &mut dyn FnMut(&datafusion::logical_expr::TableScan),
) -> Result<(), Error> {
    use datafusion::common::tree_node::TreeNodeRecursion;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            f(scan);
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map(|_| ())
    .map_err(from_datafusion)
}

/// Names and types; nullability may be sharper on one side.
fn same_columns(planned: &Schema, announced: &Schema) -> bool {
    planned.fields().len() == announced.fields().len()
        && planned
            .fields()
            .iter()
            .zip(announced.fields())
            .all(|(planned, announced)| {
                planned.name() == announced.name() && planned.data_type() == announced.data_type()
            })
}

/// The engine may answer in another string or list type than was announced.
fn announced(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, Error> {
    cast_to(schema, batch).map_err(|error| {
        incident::unnumbered(
            "an answer did not fit its schema",
            DataFusionError::from(error),
        )
    })
}

fn schema_from(bytes: &[u8]) -> Result<Schema, Error> {
    weft_door::schema::from_bytes(bytes)
}

pub(super) fn malformed(what: &str) -> Error {
    protocol(format!("the fragment's {what} is missing or malformed"))
}

fn protocol(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, code::PROTOCOL, message)
}

/// Where the columns of `plan`'s answer come from.
fn origins(plan: &LogicalPlan) -> Vec<Option<Origin>> {
    let columns = plain_columns(plan).into_iter();
    let origin = |PlainColumn { table, remark }| Origin::of(&table, remark);
    columns.map(|column| column.map(origin)).collect()
}

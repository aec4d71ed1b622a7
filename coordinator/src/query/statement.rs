//! Prepares and runs statements.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;
use weft_door::{
    Elsewhere, Origin, Prepared, Recipient, ResultStream, StatementKind, with_origins,
};
use weft_governance::{Error, ErrorKind, QueryId, TableAccess, code};
use weft_plan::{
    Effort, FreshPlan, FullName, Memory, PlainColumn, PlannerThreads, QuerySession, QuerySessions,
    RunningPlans, Semantics, Workers, access_schema, access_table, bind_parameters,
    from_datafusion, guarded, leashed, parameter_schema, parameter_values, plain_columns,
    plan_query, product_accesses, query_functions, receipts_schema, receipts_table, session_config,
    whole_groups,
};
use weft_sql::{
    Caps, Explain, Govern, PURPOSE, Statement as Parsed, ast, is_brief, is_plain, purpose,
};

use super::admission::{Admission, Prospect};
use super::ask::Answered;
use super::batches::{ResultLimits, Tracked};
use super::draft::Draft;
use super::explain;
use super::fetches::Fetches;
use super::flow::Flow;
use super::flow_table::{flow_schema, flow_table};
use super::receipts::Receipts;
use super::run::{QueryRun, Resources, too_late};
use super::running::RunningQueries;
use super::scalar;
use crate::catalog::{Catalogs, Resolved, listing};
use crate::execute::{Relay, Shipped, are_constants, constants, only_leaf, physical_plan, reserve};
use crate::journal::Journal;
use crate::plan::{Alternative, CutPlan, FragmentPlan, Optimization, Optimizations, Question};
use crate::session::Session;

/// Rows of a batch where memory is short: one for so many bytes that the query may use, and how many at least
/// and at most. A sort holds a batch of each file that it merges; and the text of many small batches is
/// counted with each of them.
const FRUGAL_ROW: usize = 1 << 19;
const FRUGAL_BATCH: RangeInclusive<usize> = 1 << 8..=1 << 10;
/// Bytes that a sort keeps for merging what it has written to disk, where memory is short.
const FRUGAL_RESERVATION: usize = 2 << 20;

/// By how much the first request of a query is ahead of the plan for what comes of it, at most.
const HEAD_START: Duration = Duration::from_millis(1);

/// Settings of this prefix switch steps of the planner.
const OPTIMIZER: &str = "weft.optimizer.";
/// Whether the client fetches rows at the node that makes them.
const DIRECT: &str = "weft.direct";

/// What every query of a coordinator uses.
#[derive(Clone)]
pub struct QueryEngine {
    /// Identity, nodes, connections.
    pub resources: Resources,
    /// What principals may see.
    pub catalogs: Catalogs,
    /// Running queries.
    pub queries: RunningQueries,
    /// Those of them whose rows clients fetch at nodes.
    pub fetches: Fetches,
    /// Where they are written down.
    pub journal: Journal,
    /// Who may run one more.
    pub admission: Admission,
    /// How large an answer may be.
    pub results: ResultLimits,
    /// Threads with deep stacks.
    pub planner: PlannerThreads,
    /// Threads that plans run on.
    pub workers: Workers,
    /// Plans that run on them.
    pub plans: RunningPlans,
    /// Memory.
    pub memory: Memory,
    /// Partitions of a plan.
    pub partitions: usize,
    /// By time zone, whether joins hash, and whether groups stay whole.
    pub states: QuerySessions<(String, bool, bool)>,
    /// How long a query may run.
    pub deadline: Duration,
    /// How long planning waits for what nodes are asked.
    pub ask_wait: Duration,
    /// How large a statement may be.
    pub caps: Caps,
}

/// A prepared statement.
pub struct Statement {
    parsed: Parsed,
    /// A plan that nobody has run yet, for these values.
    fresh: FreshPlan<Vec<ScalarValue>, Planned>,
}

/// A query, planned and cut under one snapshot.
pub struct Planned {
    id: QueryId,
    cut: CutPlan,
    /// What it reads.
    accesses: Vec<TableAccess>,
    /// The coordinator's own tables that it reads.
    system: Vec<FullName>,
    /// What nodes were asked for it.
    asked: Vec<Flow>,
    receipts: Receipts,
    semantics: Semantics,
    state: QuerySession,
    prospect: Option<Prospect>,
}

/// How far a query is planned before a node may have to be asked.
enum Stage {
    Cut(Box<(CutPlan, QuerySession)>),
    Asks(Box<Draft>, Vec<Question>),
}

impl QueryEngine {
    /// Parses `sql` and, for a query, plans it.
    ///
    /// # Errors
    /// If the statement is malformed or does not fit what the session may see.
    pub async fn prepare(
        &self,
        session: &Arc<Session>,
        sql: &str,
    ) -> Result<Prepared<Statement>, Error> {
        let (text, caps) = (sql.to_owned(), self.caps.clone());
        // Nothing is read, let alone planned, that would be refused at once.
        let prospect = match starts_query(sql) && !session.principal().is_admin() {
            true => Some(self.admission.expect(&session.principal().subject)?),
            false => None,
        };
        let parse = move || weft_sql::parse(&text, &caps);
        let effort = Effort::least_if(is_brief(sql));
        let parsed = self.planner.run(effort, parse).await?;
        let mut parameters: SchemaRef = Arc::new(Schema::empty());
        let mut fresh = None;
        let (schema, kind) = match &parsed {
            Parsed::Query(query) => {
                let steps = session.optimizations();
                let (planned, schema, found) = self.plan(session, query, None, steps).await?;
                parameters = found;
                fresh = planned;
                (schema, StatementKind::Query)
            }
            Parsed::Govern(statement) => match statement.as_ref() {
                Govern::ShowReceipts { .. } => (receipts_schema(), StatementKind::Query),
                _ => return Err(at_the_owner()),
            },
            Parsed::Explain(Explain::Access, _) => (access_schema(), StatementKind::Query),
            Parsed::Explain(explain, query) => {
                let schema = explained(*explain);
                let mut steps = session.optimizations();
                // Nobody uses this plan.
                steps.set(Optimization::Ask, false);
                let (_, _, found) = self.plan(session, query, None, steps).await?;
                parameters = found;
                (schema, StatementKind::Query)
            }
            Parsed::Show(show) => (listing::schema(show), StatementKind::Query),
            Parsed::Use(_) | Parsed::Set { .. } | Parsed::Kill(_) => {
                (Arc::new(Schema::empty()), StatementKind::Command)
            }
        };
        let statement = Statement {
            parsed,
            fresh: FreshPlan::default(),
        };
        if let Some(planned) = fresh {
            prospect.iter().for_each(Prospect::planned);
            let planned = Planned {
                prospect,
                ..planned
            };
            statement.fresh.keep(Vec::new(), planned);
        }
        Ok(Prepared {
            statement,
            schema,
            parameters,
            kind,
        })
    }

    /// The columns of the result with these values; nothing if they depend on none. What is planned for
    /// it serves the next run with the same values.
    ///
    /// # Errors
    /// If the values do not fit the statement.
    pub async fn columns(
        &self,
        session: &Arc<Session>,
        statement: &Statement,
        parameters: &RecordBatch,
    ) -> Result<Option<SchemaRef>, Error> {
        let Parsed::Query(query) = &statement.parsed else {
            return Ok(None);
        };
        let values = parameter_values(parameters)?;
        let steps = session.optimizations();
        let (planned, schema, _) = self
            .plan(session, query, Some(values.clone()), steps)
            .await?;
        if let Some(planned) = planned {
            statement.fresh.keep(values, planned);
        }
        Ok(Some(schema))
    }

    /// Runs a prepared statement.
    ///
    /// # Errors
    /// If it cannot start; later errors come in the stream.
    pub async fn run(
        &self,
        session: &Arc<Session>,
        statement: &Statement,
        parameters: Option<RecordBatch>,
    ) -> Result<ResultStream, Error> {
        let values = parameters
            .as_ref()
            .map(parameter_values)
            .transpose()?
            .unwrap_or_default();
        match &statement.parsed {
            Parsed::Query(query) => {
                let fresh = statement.take_fresh(&values);
                self.run_query(session, query, values, fresh).await
            }
            Parsed::Explain(Explain::Plan, query) => {
                let planned = self.planned(session, query, values).await?;
                let flows = planned.flows()?;
                Ok(one(explain::explain(planned.expected(), &flows, None)?))
            }
            Parsed::Explain(Explain::Analyze, query) => {
                let (cut, answer, flows) = self.analyze(session, query, values).await?;
                Ok(one(explain::explain(&cut, &flows, Some(answer))?))
            }
            Parsed::Explain(Explain::Flow, query) => {
                let planned = self.planned(session, query, values).await?;
                let flows = planned.flows()?;
                Ok(one(flow_table(&flows.iter().collect::<Vec<_>>(), false)?))
            }
            Parsed::Explain(Explain::AnalyzeFlow, query) => {
                let (_, _, flows) = self.analyze(session, query, values).await?;
                Ok(one(flow_table(&flows.iter().collect::<Vec<_>>(), true)?))
            }
            Parsed::Show(show) => listing::show(&self.catalogs, session, show).await.map(one),
            Parsed::Use(parts) => {
                self.catalogs.use_names(session, parts).await?;
                Ok(nothing())
            }
            Parsed::Kill(query) => {
                self.queries.kill(*query, session.principal())?;
                Ok(nothing())
            }
            Parsed::Set { name, value } => {
                set(session, name, value)?;
                if name == PURPOSE {
                    self.catalogs.forget(session);
                }
                Ok(nothing())
            }
            Parsed::Govern(statement) => match statement.as_ref() {
                Govern::ShowReceipts { query } => self.receipts(session, *query).map(one),
                _ => Err(at_the_owner()),
            },
            Parsed::Explain(Explain::Access, query) => {
                let accesses = self.accesses(session, query).await?;
                let explained = self.catalogs.explain(session, accesses).await?;
                access_table(&explained).map(one)
            }
        }
    }

    /// What `query` reads, or would if it were granted.
    async fn accesses(
        &self,
        session: &Arc<Session>,
        query: &ast::Query,
    ) -> Result<Vec<TableAccess>, Error> {
        match self.read_by(session, query).await {
            Ok(accesses) => Ok(accesses),
            // What is not granted cannot be planned.
            Err(_) => self.catalogs.mentioned(session, query).await,
        }
    }

    /// What the plan of `query` reads.
    async fn read_by(
        &self,
        session: &Arc<Session>,
        query: &ast::Query,
    ) -> Result<Vec<TableAccess>, Error> {
        let resolved = self.catalogs.resolve(session, &self.queries, query).await?;
        let semantics = semantics(session)?;
        let QuerySession { state, .. } = self.state(&semantics, &session.optimizations(), true)?;
        let query = query.clone();
        let planning = self.planner.run(Effort::Any, move || {
            let plan = plan_query(&state, &resolved.tables, query)?;
            let plan = match parameter_schema(&plan)?.fields().is_empty() {
                true => state.optimize(&plan).map_err(from_datafusion)?,
                false => plan,
            };
            product_accesses(&plan)
        });
        planning.await
    }

    /// What nodes have signed for a query of the session's principal.
    fn receipts(&self, session: &Session, query: QueryId) -> Result<RecordBatch, Error> {
        let record = self.queries.one(&session.principal().subject, query);
        let record = record.ok_or_else(|| {
            let message = format!("this coordinator remembers no query `{query}` of yours");
            Error::new(ErrorKind::NotFound, code::NOT_FOUND, message).with_hint(
                "`SELECT query_id FROM system.runtime.queries` lists those that it does; the owners' nodes \
                 remember all.",
            )
        })?;
        receipts_table(&record.receipts.all())
    }

    async fn run_query(
        &self,
        session: &Arc<Session>,
        query: &ast::Query,
        values: Vec<ScalarValue>,
        fresh: Option<Planned>,
    ) -> Result<ResultStream, Error> {
        let planned = match fresh {
            Some(planned) => planned,
            None => self.planned(session, query, values.clone()).await?,
        };
        let (_, mut result) = self.start(session, planned).await?;
        // What can be mended shows before the first row: plan anew, once.
        let first = result.batches.next().await;
        let mut steps = session.optimizations();
        let anew = match &first {
            // A schema or a grant changed since planning.
            Some(Err(error)) if error.kind() == ErrorKind::SchemaDrift => {
                self.catalogs.forget(session);
                true
            }
            // A join did not fit into this coordinator's memory.
            Some(Err(error)) if is_out_of_memory_here(error) && steps.on(Optimization::Hash) => {
                steps.set(Optimization::Hash, false);
                true
            }
            _ => false,
        };
        if anew {
            // Its place is free again.
            drop(result);
            let planned = self.planned_with(session, query, values, steps).await?;
            return self.start(session, planned).await.map(|(_, result)| result);
        }
        let ResultStream { schema, batches } = result;
        let batches = futures::stream::iter(first).chain(batches).boxed();
        Ok(ResultStream { schema, batches })
    }

    /// Where `recipient` fetches the rows of a statement that one node answers alone, if that node keeps
    /// them; otherwise they are fetched here.
    ///
    /// # Errors
    /// If the statement may not be run, or cannot be written down.
    pub async fn elsewhere(
        &self,
        session: &Arc<Session>,
        statement: &Statement,
        parameters: Option<RecordBatch>,
        recipient: Recipient<'_>,
    ) -> Result<Option<Elsewhere>, Error> {
        let Parsed::Query(query) = &statement.parsed else {
            return Ok(None);
        };
        let values = parameters.as_ref().map(parameter_values).transpose()?;
        let values = values.unwrap_or_default();
        let planned = match statement.take_fresh(&values) {
            Some(planned) => planned,
            None => self.planned(session, query, values.clone()).await?,
        };
        let Some(fragment) = planned.cut.whole().map(Arc::clone) else {
            statement.fresh.keep(values, planned);
            return Ok(None);
        };
        let run = QueryRun::new(
            planned.id,
            Arc::clone(session),
            planned.semantics.clone(),
            Instant::now() + self.deadline,
            self.resources.clone(),
            &planned.cut,
        );
        let elsewhere = match self.reserved(&fragment, &recipient, &run).await {
            Ok(elsewhere) => elsewhere,
            Err(error) => {
                debug!(query = %planned.id, %error, "the rows are fetched here");
                statement.fresh.keep(values, planned);
                return Ok(None);
            }
        };
        let (who, node) = (&session.principal().subject, &fragment.site.node);
        let (purpose, accesses) = (run.purpose(), &planned.accesses);
        let asked = self
            .journal
            .asked(planned.id, who, purpose, accesses, &[], Some(node));
        asked.await?;
        Ok(Some(elsewhere))
    }

    /// Has the node of `fragment` keep it for `recipient`, and tell of how it is fetched.
    async fn reserved(
        &self,
        fragment: &FragmentPlan,
        recipient: &Recipient<'_>,
        run: &QueryRun,
    ) -> Result<Elsewhere, Error> {
        let followed = self.fetches.follow(&fragment.site.node).await?;
        let elsewhere = reserve(fragment, recipient, run).await?;
        let who = &run.session().principal().subject;
        let (cancelled, until) = (recipient.cancelled, elsewhere.expires_at);
        followed.expect(run.id(), who, cancelled, until)?;
        Ok(elsewhere)
    }

    /// Runs `query` to its end, and returns how it was cut, its rows and its flows.
    async fn analyze(
        &self,
        session: &Arc<Session>,
        query: &ast::Query,
        values: Vec<ScalarValue>,
    ) -> Result<(CutPlan, u64, Vec<Flow>), Error> {
        let planned = self.planned(session, query, values).await?;
        let cut = planned.cut.clone();
        let (run, mut result) = self.start(session, planned).await?;
        let mut answer_rows = 0;
        while let Some(batch) = result.batches.try_next().await? {
            answer_rows += batch.num_rows() as u64;
        }
        let cut = cut.decided(run.shipments());
        let flows = Flow::all(cut, Some(&run)).map_err(from_datafusion)?;
        Ok((cut.clone(), answer_rows, flows))
    }

    async fn planned(
        &self,
        session: &Arc<Session>,
        query: &ast::Query,
        values: Vec<ScalarValue>,
    ) -> Result<Planned, Error> {
        let steps = session.optimizations();
        self.planned_with(session, query, values, steps).await
    }

    async fn planned_with(
        &self,
        session: &Arc<Session>,
        query: &ast::Query,
        values: Vec<ScalarValue>,
        steps: Optimizations,
    ) -> Result<Planned, Error> {
        let (planned, _, _) = self.plan(session, query, Some(values), steps).await?;
        planned.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                code::PLAN,
                "the statement has parameters without values",
            )
            .with_hint("Bind a value for each parameter.")
        })
    }

    /// Plans `query`; without `values`, a query that has parameters is not planned to the end.
    async fn plan(
        &self,
        session: &Arc<Session>,
        query: &ast::Query,
        values: Option<Vec<ScalarValue>>,
        optimizations: Optimizations,
    ) -> Result<(Option<Planned>, SchemaRef, SchemaRef), Error> {
        let Resolved {
            tables,
            sites,
            grouped,
            system,
        } = self.catalogs.resolve(session, &self.queries, query).await?;
        let optimizations = match grouped {
            true => optimizations.over_groups(),
            false => optimizations,
        };
        let semantics = semantics(session)?;
        let state = self.state(&semantics, &optimizations, grouped)?;
        let (effort, query) = (Effort::brief_if(is_plain(query)), query.clone());
        let planning = move || {
            let plan = plan_query(&state.state, &tables, query)?;
            let parameters = parameter_schema(&plan)?;
            // Of the plan as it is written: a better one may know less of where columns come from.
            let origins = origins(&plan);
            if values.is_none() && !parameters.fields().is_empty() {
                let schema = with_origins(plan.schema().as_arrow(), &origins);
                return Ok((None, schema, parameters));
            }
            let plan = bind_parameters(plan, values.unwrap_or_default())?;
            let plan = match are_constants(&plan) {
                true => plan,
                false => state.state.optimize(&plan).map_err(from_datafusion)?,
            };
            let schema = with_origins(plan.schema().as_arrow(), &origins);
            let accesses = product_accesses(&plan)?;
            let draft = Draft {
                plan,
                sites,
                steps: optimizations,
                session: state,
            };
            let questions = draft.questions();
            let stage = match questions.is_empty() {
                true => Stage::Cut(Box::new(draft.cut(&HashMap::new())?)),
                false => Stage::Asks(Box::new(draft), questions),
            };
            Ok((Some((stage, accesses)), schema, parameters))
        };
        let (stage, schema, parameters) = self.planner.run(effort, planning).await?;
        let Some((stage, accesses)) = stage else {
            return Ok((None, schema, parameters));
        };
        let (id, receipts) = (QueryId::generate(), Receipts::default());
        let (cut, state, asked) = match stage {
            Stage::Cut(cut) => {
                let (cut, state) = *cut;
                (cut, state, Vec::new())
            }
            Stage::Asks(draft, questions) => {
                let answered = self.ask(session, id, &semantics, questions, &receipts);
                let answered = answered.await;
                let Answered {
                    selectivities,
                    flows,
                } = answered;
                let cutting = move || draft.cut(&selectivities);
                let cut = self.planner.run(Effort::Any, cutting);
                let (cut, state) = cut.await?;
                (cut, state, flows)
            }
        };
        let planned = Planned {
            id,
            cut,
            accesses,
            system,
            asked,
            receipts,
            semantics,
            state,
            prospect: None,
        };
        Ok((Some(planned), schema, parameters))
    }

    async fn start(
        &self,
        session: &Arc<Session>,
        planned: Planned,
    ) -> Result<(Arc<QueryRun>, ResultStream), Error> {
        let Planned {
            id,
            cut,
            accesses,
            system,
            asked,
            receipts,
            semantics,
            state,
            prospect,
        } = planned;
        let deadline = Instant::now() + self.deadline;
        let run = QueryRun::new(
            id,
            Arc::clone(session),
            semantics,
            deadline,
            self.resources.clone(),
            &cut,
        );
        let run = run.having_asked(asked).keeping(receipts.clone());
        let run = Arc::new(run);
        let flows = Flow::all(cut.decided(run.shipments()), Some(&run));
        let flows = flows.map_err(from_datafusion)?;
        let who = session.principal().subject.clone();
        // Whoever runs the mesh sees what runs also where there is no place.
        let waits = !(session.principal().is_admin() && cut.fragments.is_empty());
        let stop = self.queries.start(id, &who, flows, receipts, None);
        let purpose = run.purpose();
        let written = self
            .journal
            .asked(id, &who, purpose, &accesses, &system, None);
        // Not taken back if nobody waits for it: how the query ended is written down, too.
        let written = tokio::spawn(written);
        let schema: SchemaRef = Arc::new(cut.plan.schema().as_arrow().clone());
        // Nothing runs before the rows are asked for, so that a query given up by then is ended too.
        let (engine, started) = (self.clone(), Arc::clone(&run));
        let asker = who.clone();
        let rows = async move {
            let durable = async { written.await.unwrap_or_else(|_| Err(unwritten())) };
            drop(prospect);
            let place = match waits {
                true => Some(engine.admission.enter(&asker).await?),
                false => None,
            };
            engine.queries.begin(id);
            // What reads rows before the answer waits for the disk; else it writes while the fragments are
            // asked for. No row goes anywhere before both are done.
            let early = !cut.scalars.is_empty() || cut.alternative.is_some();
            let answer = engine.answer(Arc::new(state), cut, started);
            let rows = match early {
                true => {
                    durable.await?;
                    answer.await?
                }
                false => tokio::try_join!(answer, durable)?.0,
            };
            // The place is taken until the last row has gone.
            Ok(rows.inspect(move |_| _ = &place))
        };
        let rows = futures::stream::once(rows).try_flatten().boxed();
        let (queries, journal) = (self.queries.clone(), self.journal.clone());
        let trace = run.trace();
        let tracked = Tracked::new(rows, (id, &who), queries, journal, self.results, trace);
        let (presence, why) = (session.presence().clone(), tracked.stopped());
        // What ends a query ends it also while nobody reads its rows.
        let end = async move {
            let error = tokio::select! {
                error = stop.stopped() => error,
                error = presence.ended() => error,
                () = tokio::time::sleep_until(deadline.into()) => too_late(),
            };
            why.get_or_init(|| error).clone()
        };
        let batches = leashed(end, tracked.boxed());
        let batches = batches.map_err(move |error| error.of(id)).boxed();
        Ok((run, ResultStream { schema, batches }))
    }

    /// The rows of `cut`, whose scalars are found first, and then which rows go from node to node.
    async fn answer(
        &self,
        state: Arc<QuerySession>,
        mut cut: CutPlan,
        run: Arc<QueryRun>,
    ) -> Result<BoxStream<'static, Result<RecordBatch, Error>>, Error> {
        let mut values = Vec::with_capacity(cut.scalars.len());
        for index in 0..cut.scalars.len() {
            let part = cut.scalar(index).map_err(from_datafusion)?;
            let schema = Arc::clone(part.plan.schema());
            let relay = self.relay(&part, &run, Shipped::new())?;
            let rows = self.rows(&state, part, relay).await?;
            values.push(scalar::only_value(rows, schema.field(0).data_type()).await?);
            cut = cut.bound(&values).map_err(from_datafusion)?;
        }
        let mut shipped = Shipped::new();
        let relay = loop {
            cut = cut.passing_on();
            let relay = self.relay(&cut, &run, shipped)?;
            let Some(alternative) = cut.alternative.take() else {
                break relay;
            };
            let Some(few) = self.few(&relay, &alternative).await? else {
                run.decide(cut.shipments.len());
                let flows = Flow::all(&cut, Some(&run)).map_err(from_datafusion)?;
                self.queries.change_flows(run.id(), flows);
                break relay;
            };
            shipped = few;
            cut = alternative.cut;
        };
        for (index, literal) in cut.literals.iter().enumerate() {
            let value = values.get(literal.scalar);
            run.literal_counters(index)
                .sent(1, value.map_or(0, scalar::bytes));
        }
        self.rows(&state, cut, relay).await
    }

    /// The rows that `alternative` sends on, read on the threads that plans run on.
    async fn few(
        &self,
        relay: &Arc<Relay>,
        alternative: &Alternative,
    ) -> Result<Option<Shipped>, Error> {
        let (relay, shipment, most) = (Arc::clone(relay), alternative.shipment, alternative.most);
        let reading = async move { relay.few(shipment, most).await };
        let reading = AbortOnDropHandle::new(self.workers.spawn(reading));
        reading.await.map_err(|error| {
            let message = "the coordinator failed while it read rows to be sent on";
            Error::new(ErrorKind::Internal, code::INTERNAL, message).caused_by(error)
        })?
    }

    fn relay(
        &self,
        cut: &CutPlan,
        run: &Arc<QueryRun>,
        shipped: Shipped,
    ) -> Result<Arc<Relay>, Error> {
        let runtime = Arc::clone(self.memory.runtime());
        Relay::new(cut, Arc::clone(run), runtime, shipped).map_err(from_datafusion)
    }

    async fn rows(
        &self,
        state: &Arc<QuerySession>,
        cut: CutPlan,
        relay: Arc<Relay>,
    ) -> Result<BoxStream<'static, Result<RecordBatch, Error>>, Error> {
        if let Some(row) = constants(&cut.plan).map_err(from_datafusion)? {
            return Ok(futures::stream::iter([Ok(row)]).boxed());
        }
        // On the threads that plans run on: the first rows are decoded there.
        self.workers.enter(|| relay.ask());
        let planning = Arc::clone(state);
        let interrupt = self.plans.start();
        let signal = interrupt.clone();
        let traffic = Arc::clone(&relay);
        let physical = match only_leaf(&cut.plan, &relay) {
            Some(leaf) => leaf,
            None => {
                // What plans takes a processor from what sends the requests.
                relay.at_work(HEAD_START).await;
                let planning = async move {
                    let plan = physical_plan(&planning.state, &cut.plan, relay, &signal).await;
                    plan.map_err(from_datafusion)
                };
                self.planner.run_async(Effort::Any, planning).await?
            }
        };
        let context = self
            .memory
            .context(physical.as_ref(), Arc::clone(&state.context));
        let stream = self.workers.execute(physical, context);
        let stream = stream.map_err(from_datafusion)?;
        let end = futures::stream::once(async move { traffic.ended().await });
        let end = end.try_filter_map(|()| std::future::ready(Ok(None)));
        let rows = stream.map_err(from_datafusion).chain(end).boxed();
        Ok(self.workers.drive(rows, interrupt))
    }

    fn state(
        &self,
        semantics: &Semantics,
        optimizations: &Optimizations,
        grouped: bool,
    ) -> Result<QuerySession, Error> {
        let hash = optimizations.on(Optimization::Hash);
        let like = (semantics.time_zone.clone(), hash, grouped);
        let state = self.states.like(like, semantics.query_start_ns, |_| {
            let mut config = session_config(semantics, self.partitions)?;
            if !hash {
                // The engine sorts for a join only where it has several partitions.
                let options = config.options_mut();
                options.execution.target_partitions = self.partitions.max(2);
                options.execution.sort_spill_reservation_bytes = FRUGAL_RESERVATION;
                options.optimizer.prefer_hash_join = false;
                let rows = self.memory.share() / FRUGAL_ROW;
                let rows = rows.clamp(*FRUGAL_BATCH.start(), *FRUGAL_BATCH.end());
                config = config.with_batch_size(rows);
            }
            let rules = match grouped {
                true => whole_groups(SessionStateBuilder::new_with_default_features()),
                false => guarded(SessionStateBuilder::new_with_default_features()),
            };
            Ok(rules
                .with_config(config)
                .with_runtime_env(Arc::clone(self.memory.runtime()))
                .with_scalar_functions(query_functions())
                .with_table_functions(Default::default())
                .with_file_formats(Vec::new())
                .build())
        });
        state.map_err(from_datafusion)
    }
}

impl Planned {
    /// The query in the form that it is expected to take.
    fn expected(&self) -> &CutPlan {
        self.cut.decided(usize::MAX)
    }

    /// What crosses for it in that form, and has crossed while it was planned.
    fn flows(&self) -> Result<Vec<Flow>, Error> {
        let flows = Flow::all(self.expected(), None).map_err(from_datafusion)?;
        Ok(self.asked.iter().cloned().chain(flows).collect())
    }
}

impl Statement {
    /// The plan that was kept for a run with `values`.
    fn take_fresh(&self, values: &[ScalarValue]) -> Option<Planned> {
        self.fresh.take(|of| of == values)
    }
}

/// The task that writes the event log is gone, as at the end of the process.
fn unwritten() -> Error {
    let message = "the query could not be written to the event log";
    Error::new(ErrorKind::Unavailable, code::NOT_AUDITED, message)
}

/// Whether `sql` begins as queries do.
fn starts_query(sql: &str) -> bool {
    let sql = sql.trim_start();
    let words = ["select", "with", "values", "table", "("];
    words.iter().any(|word| {
        let start = sql.get(..word.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(word))
    })
}

fn is_out_of_memory_here(error: &Error) -> bool {
    error.code() == code::RESOURCES && error.domain().is_none()
}

/// Where the columns of `plan`'s answer come from.
fn origins(plan: &LogicalPlan) -> Vec<Option<Origin>> {
    let columns = plain_columns(plan).into_iter();
    let origin = |PlainColumn { table, remark }| Origin::of(&table, remark);
    columns.map(|column| column.map(origin)).collect()
}

fn explained(explain: Explain) -> SchemaRef {
    match explain {
        Explain::Plan | Explain::Analyze => explain::schema(explain.runs()),
        Explain::Flow | Explain::AnalyzeFlow => flow_schema(explain.runs()),
        Explain::Access => access_schema(),
    }
}

fn semantics(session: &Session) -> Result<Semantics, Error> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    Ok(Semantics {
        time_zone: session.time_zone(),
        query_start_ns: i64::try_from(now).unwrap_or(i64::MAX),
    })
}

fn set(session: &Session, name: &str, value: &str) -> Result<(), Error> {
    if let Some(step) = name.strip_prefix(OPTIMIZER) {
        return set_optimization(session, step, value);
    }
    match name {
        "timezone" | "time_zone" | "time.zone" => {
            let semantics = Semantics {
                time_zone: value.to_owned(),
                query_start_ns: 0,
            };
            session_config(&semantics, 1).map_err(from_datafusion)?;
            session.set_time_zone(value);
            Ok(())
        }
        PURPOSE => {
            session.set_purpose(purpose(value)?);
            Ok(())
        }
        DIRECT => {
            session.set_direct(on_or_off(name, value)?);
            Ok(())
        }
        _ => Err(no_setting(name)),
    }
}

fn set_optimization(session: &Session, step: &str, value: &str) -> Result<(), Error> {
    let step =
        Optimization::named(step).ok_or_else(|| no_setting(&format!("{OPTIMIZER}{step}")))?;
    let on = on_or_off(&format!("{OPTIMIZER}{}", step.name()), value)?;
    session.set_optimization(step, on);
    Ok(())
}

fn on_or_off(name: &str, value: &str) -> Result<bool, Error> {
    match value.to_lowercase().as_str() {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => {
            let message = format!("`{name}` is on or off, not `{value}`");
            Err(Error::new(ErrorKind::InvalidInput, code::SETTINGS, message))
        }
    }
}

/// Rights are shown and changed by the owner alone, who trusts no coordinator.
fn at_the_owner() -> Error {
    let message = "statements about rights are answered by the owner's node, not by a coordinator";
    Error::new(ErrorKind::Unsupported, code::UNSUPPORTED, message).with_hint(
        "`weft sql` goes there by itself. Other clients connect to the node: `SELECT domain, endpoint \
         FROM system.runtime.nodes` tells where it is.",
    )
}

fn no_setting(name: &str) -> Error {
    let steps = Optimization::ALL.map(|step| format!(", `{OPTIMIZER}{}`", step.name()));
    Error::new(
        ErrorKind::InvalidInput,
        code::SETTINGS,
        format!("there is no session setting `{name}`"),
    )
    .with_hint(format!(
        "The session settings are `timezone`, `{PURPOSE}`, `{DIRECT}`{}.",
        steps.concat()
    ))
}

fn one(batch: RecordBatch) -> ResultStream {
    let schema = batch.schema();
    ResultStream {
        schema,
        batches: futures::stream::iter([Ok(batch)]).boxed(),
    }
}

fn nothing() -> ResultStream {
    ResultStream {
        schema: Arc::new(Schema::empty()),
        batches: futures::stream::empty().boxed(),
    }
}

//! Asks nodes, while a query is planned, how many rows meet conditions.
//!
//! A query never fails, nor waits for long, for such an answer: without one the planner guesses.
//! Answers, and that there was none, are kept for the session, so that the same is not asked twice and
//! a query runs as EXPLAIN said.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use datafusion::logical_expr::Expr;
use futures::TryStreamExt;
use futures::future::join_all;
use tokio::time::timeout;
use tracing::debug;
use weft_governance::{Error, QueryId, TableRef};
use weft_plan::{Selectivities, Semantics, from_datafusion};

use super::flow::Flow;
use super::receipts::Receipts;
use super::run::QueryRun;
use super::statement::QueryEngine;
use crate::execute::{Relay, Shipped};
use crate::plan::Question;
use crate::session::{Asked, Session};

/// What nodes said before a query was taken apart.
#[derive(Default)]
pub(super) struct Answered {
    /// Parts of the rows of tables.
    pub(super) selectivities: HashMap<TableRef, Arc<Selectivities>>,
    /// How it came here.
    pub(super) flows: Vec<Flow>,
}

/// One question with what was answered: a part of the rows for each condition, if it is known.
struct Answer {
    question: Question,
    shares: Vec<Option<f64>>,
    flow: Flow,
}

impl QueryEngine {
    /// Asks all `questions` of the query `id` at once.
    pub(super) async fn ask(
        &self,
        session: &Arc<Session>,
        id: QueryId,
        semantics: &Semantics,
        questions: Vec<Question>,
        receipts: &Receipts,
    ) -> Answered {
        let asking = questions
            .into_iter()
            .map(|question| self.answer_to(question, session, (id, receipts), semantics));
        let mut tables: HashMap<TableRef, Selectivities> = HashMap::new();
        let mut flows = Vec::new();
        for answer in join_all(asking).await {
            let Question {
                table, conditions, ..
            } = answer.question;
            let known = tables.entry(table).or_default();
            for (condition, share) in conditions.iter().zip(answer.shares) {
                if let Some(share) = share {
                    known.insert(condition, share);
                }
            }
            flows.push(answer.flow);
        }
        let shared = |(table, known)| (table, Arc::new(known));
        Answered {
            selectivities: tables.into_iter().map(shared).collect(),
            flows,
        }
    }

    /// The answer to `question`, by the node unless it has been asked in this session.
    async fn answer_to(
        &self,
        question: Question,
        session: &Arc<Session>,
        (id, receipts): (QueryId, &Receipts),
        semantics: &Semantics,
    ) -> Answer {
        let run = QueryRun::new(
            id,
            Arc::clone(session),
            semantics.clone(),
            Instant::now() + self.ask_wait,
            self.resources.clone(),
            &question.cut,
        );
        let run = Arc::new(run.keeping(receipts.clone()));
        let flow = Flow::of_question(&question, &run);
        let asked = self.asked(&question);
        let shares = match session.answers(&asked) {
            Some(known) => known,
            None => {
                let shares = self.shares(&question, run).await;
                session.keep_answers(asked.into_iter().zip(shares.iter().copied()));
                shares
            }
        };
        Answer {
            question,
            shares,
            flow,
        }
    }

    /// What the node says now, within the time there is.
    async fn shares(&self, question: &Question, run: Arc<QueryRun>) -> Vec<Option<f64>> {
        let counts = match timeout(self.ask_wait, self.counts(question, run)).await {
            Ok(Ok(counts)) => counts,
            Ok(Err(error)) => {
                debug!(domain = %question.fragment.site.domain, %error, "a node gave no estimate");
                Vec::new()
            }
            Err(_) => {
                debug!(domain = %question.fragment.site.domain, "a node gave no estimate in time");
                Vec::new()
            }
        };
        match question.shares(&counts) {
            Some(shares) => shares.into_iter().map(Some).collect(),
            None => vec![None; question.conditions.len()],
        }
    }

    async fn counts(&self, question: &Question, run: Arc<QueryRun>) -> Result<Vec<i64>, Error> {
        let runtime = Arc::clone(self.memory.runtime());
        let relay = Relay::new(&question.cut, run, runtime, Shipped::new());
        let relay = relay.map_err(from_datafusion)?;
        let rows = Arc::clone(&relay).rows(question.fragment.ordinal);
        let batches: Vec<RecordBatch> = rows.try_collect().await?;
        relay.ended().await?;
        let row = batches.iter().find(|batch| batch.num_rows() == 1);
        let counts = row
            .iter()
            .flat_map(|row| row.columns())
            .filter_map(|column| {
                let counts = column.as_primitive_opt::<Int64Type>()?;
                counts.iter().next().flatten()
            });
        Ok(counts.collect())
    }

    /// By what the answers to `question` are kept.
    fn asked(&self, question: &Question) -> Vec<Asked> {
        let node = &question.fragment.site.node;
        let epoch = self.resources.registry.up(node).map_or(0, |it| it.epoch);
        let asked = |condition: &Expr| Asked {
            node: node.clone(),
            epoch,
            table: question.table.clone(),
            condition: condition.clone(),
        };
        question.conditions.iter().map(asked).collect()
    }
}

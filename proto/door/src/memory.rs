//! A backend in memory, for the tests of this crate: a few words instead of SQL, and counters of
//! what the door asked for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::FlightData;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::Notify;
use weft_governance::{Error, ErrorKind, ServerId, code};

use crate::backend::{
    Backend, Credentials, Exchange, ForeignKey, Opened, Prepared, Remark, ResultStream,
    StatementKind, TableEntry, TableKind,
};

/// Counts what it is asked for.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) sign_ins: AtomicUsize,
    pub(crate) sign_outs: AtomicUsize,
    pub(crate) prepared: AtomicUsize,
    pub(crate) commands: Arc<AtomicUsize>,
    /// Servers that made an exchange.
    pub(crate) peers: Mutex<Vec<ServerId>>,
    /// Told when a stream without an end is dropped.
    pub(crate) dropped: Arc<Notify>,
}

/// Who is signed in, and where.
#[derive(Debug)]
pub(crate) struct User {
    name: String,
    catalog: Mutex<String>,
}

/// What a statement does.
#[derive(Debug)]
pub(crate) enum Word {
    Numbers(i64),
    Views(i64),
    Endless,
    Silent,
    Failing,
    Drifted,
    Echo,
    Touch,
    Count,
}

struct Dropped(Arc<Notify>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Memory {
    pub(crate) fn sign_ins(&self) -> usize {
        self.sign_ins.load(Ordering::SeqCst)
    }

    pub(crate) fn sign_outs(&self) -> usize {
        self.sign_outs.load(Ordering::SeqCst)
    }

    pub(crate) fn prepared(&self) -> usize {
        self.prepared.load(Ordering::SeqCst)
    }

    pub(crate) fn commands(&self) -> usize {
        self.commands.load(Ordering::SeqCst)
    }
}

fn schema(fields: &[(&str, DataType, bool)]) -> SchemaRef {
    let fields: Vec<Field> = fields
        .iter()
        .map(|(name, data_type, nullable)| Field::new(*name, data_type.clone(), *nullable))
        .collect();
    Arc::new(Schema::new(fields))
}

/// The columns that a statement answers with.
fn answered(statement: &Word) -> SchemaRef {
    match statement {
        Word::Drifted => schema(&[("other", DataType::Int64, true)]),
        Word::Views(_) => schema(&[("t", DataType::Utf8View, true)]),
        Word::Echo => schema(&[("$1", DataType::Int64, true), ("$2", DataType::Utf8, true)]),
        Word::Touch => schema(&[]),
        Word::Numbers(_) | Word::Endless | Word::Silent | Word::Failing | Word::Count => {
            schema(&[("n", DataType::Int64, true)])
        }
    }
}

/// Rows from 0 whose column is exact about nullability, where the announced one is not.
fn numbers(range: std::ops::Range<i64>) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(range));
    RecordBatch::try_new(schema(&[("exact", DataType::Int64, false)]), vec![column]).expect("fits")
}

fn texts(rows: i64) -> RecordBatch {
    let column: StringViewArray = (0..rows)
        .map(|row| Some(format!("a text that is not inlined, {row}")))
        .collect();
    RecordBatch::try_from_iter([("t", Arc::new(column) as ArrayRef)]).expect("fits")
}

fn refused() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        "wrong name or password",
    )
}

fn unavailable() -> Error {
    let error = Error::new(
        ErrorKind::Unavailable,
        code::DOMAIN_UNAVAILABLE,
        "the node went away",
    );
    error.at("sales".parse().expect("valid"))
}

#[async_trait]
impl Backend for Memory {
    type Session = User;
    type Statement = Word;

    async fn sign_in(&self, credentials: Credentials) -> Result<Opened<User>, Error> {
        self.sign_ins.fetch_add(1, Ordering::SeqCst);
        let name = match credentials {
            Credentials::Password { user, password } if *password == "secret" => user,
            Credentials::Token(token) if token.starts_with("good.") => "token".to_owned(),
            _ => return Err(refused()),
        };
        let expires_at = match name.as_str() {
            "brief" => SystemTime::UNIX_EPOCH,
            _ => SystemTime::now() + Duration::from_secs(3600),
        };
        let catalog = Mutex::new("sales".to_owned());
        Ok(Opened {
            session: User { name, catalog },
            expires_at,
        })
    }

    fn beside(&self, session: &Arc<User>) -> User {
        User {
            name: session.name.clone(),
            catalog: Mutex::new("sales".to_owned()),
        }
    }

    async fn sign_out(&self, _session: Arc<User>) {
        self.sign_outs.fetch_add(1, Ordering::SeqCst);
    }

    async fn prepare(&self, session: &Arc<User>, sql: &str) -> Result<Prepared<Word>, Error> {
        self.prepared.fetch_add(1, Ordering::SeqCst);
        if session.name == "outsider" {
            let message = "`sales.orders` is not granted";
            return Err(
                Error::new(ErrorKind::PermissionDenied, code::NOT_GRANTED, message)
                    .with_hint("REQUEST ACCESS TO sales.orders"),
            );
        }
        let number = || {
            sql.split(' ')
                .nth(1)
                .and_then(|n| n.parse().ok())
                .unwrap_or(0)
        };
        let none = || schema(&[]);
        let (statement, parameters, kind) = match sql.split(' ').next().unwrap_or("") {
            "numbers" => (Word::Numbers(number()), none(), StatementKind::Query),
            "views" => (Word::Views(number()), none(), StatementKind::Query),
            "endless" => (Word::Endless, none(), StatementKind::Query),
            "silent" => (Word::Silent, none(), StatementKind::Query),
            "failing" => (Word::Failing, none(), StatementKind::Query),
            "drifted" | "shifting" => (Word::Drifted, none(), StatementKind::Query),
            "echo" => (Word::Echo, answered(&Word::Echo), StatementKind::Query),
            "touch" => (Word::Touch, none(), StatementKind::Command),
            "count" => (Word::Count, none(), StatementKind::Command),
            _ => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    code::SYNTAX,
                    "unknown word",
                ));
            }
        };
        let schema = match statement {
            // It has another column each time.
            Word::Drifted if sql == "shifting" => {
                schema(&[(&format!("n{}", self.prepared()), DataType::Int64, true)])
            }
            Word::Drifted => answered(&Word::Count),
            _ => answered(&statement),
        };
        Ok(Prepared {
            statement,
            schema,
            parameters,
            kind,
        })
    }

    async fn run(
        &self,
        _session: &Arc<User>,
        statement: Arc<Word>,
        parameters: Option<RecordBatch>,
    ) -> Result<ResultStream, Error> {
        let first = stream::iter([Ok(numbers(0..10))]);
        let batches = match *statement {
            Word::Numbers(rows) => stream::iter([Ok(numbers(0..rows))]).boxed(),
            Word::Views(rows) => stream::iter([Ok(texts(rows))]).boxed(),
            Word::Endless => {
                let dropped = Dropped(Arc::clone(&self.dropped));
                let rest = stream::pending().map(move |batch| {
                    let _alive = &dropped;
                    batch
                });
                first.chain(rest).boxed()
            }
            Word::Silent => {
                let _alive = Dropped(Arc::clone(&self.dropped));
                std::future::pending::<()>().await;
                stream::empty().boxed()
            }
            Word::Failing => first.chain(stream::iter([Err(unavailable())])).boxed(),
            Word::Drifted => first.boxed(),
            Word::Echo => stream::iter(parameters.map(Ok)).boxed(),
            Word::Touch => {
                self.commands.fetch_add(1, Ordering::SeqCst);
                stream::empty().boxed()
            }
            Word::Count => {
                let count = self.commands.fetch_add(1, Ordering::SeqCst) as i64 + 1;
                stream::iter([Ok(numbers(count..count + 1))]).boxed()
            }
        };
        Ok(ResultStream {
            schema: answered(&statement),
            batches,
        })
    }

    async fn tables(&self, _session: &Arc<User>) -> Result<Vec<TableEntry>, Error> {
        let price = Field::new("price", DataType::Decimal128(15, 2), false);
        let columns = Arc::new(Schema::new(vec![
            price,
            Field::new("comment", DataType::Utf8View, true),
        ]));
        let reference = |catalog: &str, schema: &str, table: &str| ForeignKey {
            columns: vec!["price".to_owned()],
            catalog: catalog.to_owned(),
            schema: schema.to_owned(),
            table: table.to_owned(),
            to: vec!["price".to_owned()],
        };
        let entry = |catalog: &str, schema: &str, table: &str, kind| TableEntry {
            catalog: catalog.to_owned(),
            schema: schema.to_owned(),
            table: table.to_owned(),
            kind,
            columns: Arc::clone(&columns),
            remarks: vec![
                Remark {
                    description: Some("what was paid".to_owned()),
                    classification: Some("internal".to_owned()),
                    id: None,
                },
                Remark::default(),
            ],
            key: match table {
                "orders" => vec!["price".to_owned()],
                _ => Vec::new(),
            },
            foreign_keys: match table {
                "lineitem" => vec![
                    reference("sales", "orders", "orders"),
                    reference("crm", "customers", "customer"),
                ],
                _ => Vec::new(),
            },
            description: Some("a table".to_owned()),
        };
        Ok(vec![
            entry("system", "runtime", "queries", TableKind::SystemTable),
            entry("sales", "orders", "orders", TableKind::Table),
            entry("sales", "orders", "lineitem", TableKind::Table),
            entry("crm", "customers", "customer", TableKind::Table),
        ])
    }

    fn session_options(&self, session: &User) -> Vec<(String, String)> {
        let catalog = session.catalog.lock().expect("not poisoned").clone();
        vec![("catalog".to_owned(), catalog)]
    }

    async fn set_session_option(
        &self,
        session: &Arc<User>,
        name: &str,
        value: &str,
    ) -> Result<(), Error> {
        if name != "catalog" {
            return Err(Error::new(
                ErrorKind::Unsupported,
                code::UNSUPPORTED,
                "no such option",
            ));
        }
        match value {
            "nowhere" => Err(Error::new(
                ErrorKind::NotFound,
                code::NOT_FOUND,
                "no such domain",
            )),
            value => {
                *session.catalog.lock().expect("not poisoned") = value.to_owned();
                Ok(())
            }
        }
    }

    fn owner(&self, session: &User) -> Option<String> {
        Some(session.name.clone())
    }

    async fn exchange(
        &self,
        call: Exchange,
    ) -> Result<BoxStream<'static, Result<FlightData, Error>>, Error> {
        if call.peer.is_none() && call.metadata.get("authorization").is_none() {
            return Err(refused());
        }
        let peer = call.peer.map(|peer| peer.server);
        self.peers.lock().expect("not poisoned").extend(peer);
        let last = FlightData::new().with_app_metadata("last");
        Ok(stream::iter([Ok(call.first)])
            .chain(call.rest)
            .chain(stream::iter([Ok(last)]))
            .boxed())
    }
}

/// One row of parameters, named as Python's driver names them.
pub(crate) fn pair(number: i64, text: Option<&str>) -> RecordBatch {
    let number: ArrayRef = Arc::new(Int64Array::from(vec![number]));
    let text: ArrayRef = Arc::new(StringArray::from(vec![text]));
    RecordBatch::try_from_iter_with_nullable([("0", number, true), ("1", text, true)])
        .expect("one row")
}

//! What is refused, and that nothing happened when it was.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, FlightDescriptor};
use datafusion::catalog::TableProvider;
use datafusion::common::JoinType;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion_proto::logical_plan::AsLogicalPlan;
use datafusion_proto::protobuf::logical_expr_node::ExprType;
use datafusion_proto::protobuf::logical_plan_node::LogicalPlanType;
use datafusion_proto::protobuf::{
    ColumnUnnestListItem, ColumnUnnestListRecursion, CopyToNode, CrossJoinNode, EmptyRelationNode,
    ListingTableScanNode, LogicalExprNode, LogicalPlanNode, RecursionUnnestOption, UnnestNode,
    UnnestOptions, ValuesNode,
};
use futures::{Stream, StreamExt};
use harness::{Client, Mesh, Published, grant, node_id, run};
use prost::Message;
use tonic::Request;
use tonic::transport::Endpoint;
use weft_governance::{Error, ErrorKind, Principal, QueryId, ServerId, code};
use weft_wire::authority::Authority;
use weft_wire::identity::Identity;
use weft_wire::protocol::{DELEGATION_HEADER, FRAGMENT_COMMAND, FRAGMENT_ENCODING};
use weft_wire::rpc::fragment::key_filter::Form;
use weft_wire::rpc::fragment::{
    ArrowMessage, FragmentControl, FragmentRequest, KeyFilter, KeyFilters, Semantics, ShippedRows,
    TableExpectation,
};
use weft_wire::status::from_status;
use weft_wire::token::{Delegation, UserTokenSigner, sha256};

const SALES: Published<'static> = Published {
    domain: "sales",
    product: "orders",
    tables: &[("t", &[("id", "integer", "bigint")], "1\n2\n3")],
};
const CRM: Published<'static> = Published {
    domain: "crm",
    product: "people",
    tables: &[("t", &[("id", "integer", "bigint")], "7")],
};

async fn mesh() -> Mesh {
    let grants = vec![
        ("sales", grant("analyst", "orders")),
        ("crm", grant("admin", "people")),
    ];
    Mesh::publish(&[SALES, CRM], grants).await
}

fn coordinator_url(mesh: &Mesh) -> String {
    format!(
        "http://{}",
        mesh.coordinator.client_address().expect("address")
    )
}

#[test]
fn a_wrong_password_and_an_unknown_name_are_refused_alike() {
    run(async {
        let mesh = mesh().await;
        let mut told = Vec::new();
        for (user, password) in [("analyst", "wrong"), ("nobody", "wrong"), ("analyst", "")] {
            let refused = Client::sign_in(&coordinator_url(&mesh), None, user, password).await;
            let error = refused.err().expect("refused");
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
            told.push(error.to_string());
        }
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
        assert_eq!(
            mesh.sign_in("analyst").await.value("SELECT 1").await,
            "1",
            "the control"
        );
    });
}

#[test]
fn an_ungranted_table_is_refused_at_the_coordinator_and_at_the_node() {
    run(async {
        let mesh = mesh().await;
        let sql = "SELECT id FROM sales.orders.t";
        let error = mesh.sign_in("outsider").await.error(sql).await;
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::PermissionDenied, code::NOT_GRANTED)
        );
        let error = mesh.sign_in_at("sales", "outsider").await.error(sql).await;
        assert!(
            matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::NotFound
            ),
            "{error}"
        );
        assert_eq!(
            mesh.sign_in("analyst")
                .await
                .query(sql)
                .await
                .expect("granted")
                .len(),
            3
        );
        assert_eq!(
            mesh.sign_in_at("sales", "analyst")
                .await
                .query(sql)
                .await
                .expect("granted")
                .len(),
            3
        );
    });
}

#[test]
fn a_token_works_at_its_audience_only_and_only_while_it_lives() {
    run(async {
        let mesh = mesh().await;
        let sales = node_id("sales");
        let token = |audience: &ServerId| {
            let (url, ca, audience) = (
                mesh.authority.url(),
                mesh.authority.ca_pem().to_owned(),
                audience.clone(),
            );
            async move {
                weft_wire::join::issue_token(&url, &ca, "analyst", "correct horse", &audience)
                    .await
                    .expect("issued")
                    .text
            }
        };
        let tls = |server: &ServerId| Some((mesh.authority.ca_pem().to_owned(), server.clone()));
        let at_node = |domain: &str| format!("https://{}", mesh.node(domain).address());
        let sql = "SELECT count(*) FROM sales.orders.t";
        let for_sales = token(&sales).await;
        let mut control = Client::with_token(&at_node("sales"), tls(&sales), &for_sales).await;
        assert_eq!(control.value(sql).await, "3");

        let crm = node_id("crm");
        let mut elsewhere = Client::with_token(&at_node("crm"), tls(&crm), &for_sales).await;
        assert_eq!(
            elsewhere.error("SELECT 1").await.kind(),
            ErrorKind::Unauthenticated
        );
        let mut coordinator = Client::with_token(&coordinator_url(&mesh), None, &for_sales).await;
        assert_eq!(
            coordinator.error("SELECT 1").await.kind(),
            ErrorKind::Unauthenticated
        );

        // A token of another authority, one that has ended, and one that was changed.
        let principal = Principal {
            issuer: "https://authority.test".to_owned(),
            subject: "analyst".to_owned(),
            groups: Default::default(),
            attributes: Default::default(),
        };
        let forger = UserTokenSigner::generate("https://authority.test").expect("key");
        let hour = Duration::from_secs(3600);
        let forged = forger
            .sign(&principal, &sales, None, SystemTime::now(), hour)
            .expect("signed");
        let mut changed = for_sales.clone();
        changed.replace_range(for_sales.len() - 4.., "AAAA");
        for bad in [
            forged.text.as_str(),
            changed.as_str(),
            "a.b.c",
            "Bearer",
            "",
        ] {
            let mut client = Client::with_token(&at_node("sales"), tls(&sales), bad).await;
            assert_eq!(
                client.error(sql).await.kind(),
                ErrorKind::Unauthenticated,
                "{bad}"
            );
        }
    });
}

/// What a coordinator, or somebody with a coordinator's certificate, would send.
struct Sender {
    identity: Identity,
    token: String,
    node: ServerId,
    url: String,
}

impl Sender {
    async fn new(mesh: &Mesh, user: &str, domain: &str) -> Self {
        let identity = mesh.identity(&ServerId::coordinator("main").expect("name"));
        let authority = Authority::connect(&mesh.authority.url(), &identity).expect("url");
        let lease = authority
            .sign_in(user, mesh.password())
            .await
            .expect("sign-in");
        let node = node_id(domain);
        let token = authority
            .exchange_lease(&lease, &node)
            .await
            .expect("exchanged")
            .text;
        let url = format!("https://{}", mesh.node(domain).address());
        Self {
            identity,
            token,
            node,
            url,
        }
    }

    fn delegation(&self, message: &[u8], query: QueryId) -> String {
        Delegation {
            fragment: sha256(message),
            user_token: sha256(self.token.as_bytes()),
            audience: self.node.clone(),
            query,
        }
        .sign(&self.identity, SystemTime::now(), Duration::from_secs(30))
        .expect("signed")
    }

    async fn send(
        &self,
        as_: &Identity,
        message: Vec<u8>,
        delegation: &str,
    ) -> Result<usize, Error> {
        let later = futures::stream::pending();
        self.converse(as_, message, delegation, later).await
    }

    async fn converse(
        &self,
        as_: &Identity,
        message: Vec<u8>,
        delegation: &str,
        later: impl Stream<Item = FragmentControl> + Send + 'static,
    ) -> Result<usize, Error> {
        let channel = Endpoint::from_shared(self.url.clone())
            .expect("url")
            .tls_config(as_.client_tls(&self.node))
            .expect("tls")
            .connect()
            .await
            .expect("connected");
        let first = FlightData {
            flight_descriptor: Some(FlightDescriptor::new_cmd(FRAGMENT_COMMAND)),
            app_metadata: message.into(),
            ..FlightData::default()
        };
        let later = later.map(|control| FlightData {
            app_metadata: control.encode_to_vec().into(),
            ..FlightData::default()
        });
        let frames = futures::stream::iter([first]).chain(later);
        let mut request = Request::new(frames);
        let bearer = format!("Bearer {}", self.token);
        request
            .metadata_mut()
            .insert("authorization", bearer.parse().expect("header"));
        request
            .metadata_mut()
            .insert(DELEGATION_HEADER, delegation.parse().expect("header"));
        let answer = FlightServiceClient::new(channel).do_exchange(request).await;
        let mut frames = answer.map_err(|status| from_status(&status))?.into_inner();
        let mut count = 0;
        while let Some(frame) = frames.next().await {
            frame.map_err(|status| from_status(&status))?;
            count += 1;
        }
        Ok(count)
    }

    async fn plan(&self, plan: Vec<u8>) -> Result<usize, Error> {
        let (message, query) = message(plan, false, Vec::new());
        let delegation = self.delegation(&message, query);
        self.send(&self.identity, message, &delegation).await
    }

    async fn filtered(&self, plan: Vec<u8>, filters: Vec<KeyFilter>) -> Result<usize, Error> {
        let control = FragmentControl {
            keys: Some(KeyFilters { filters }),
            ..FragmentControl::default()
        };
        let later = futures::stream::iter([control]).chain(futures::stream::pending());
        self.waiting(plan, later).await
    }

    /// Sends a fragment that waits for keys, and `later` after it.
    async fn waiting(
        &self,
        plan: Vec<u8>,
        later: impl Stream<Item = FragmentControl> + Send + 'static,
    ) -> Result<usize, Error> {
        let (message, query) = message(plan, true, Vec::new());
        let delegation = self.delegation(&message, query);
        self.converse(&self.identity, message, &delegation, later)
            .await
    }

    async fn shipped(&self, plan: Vec<u8>, rows: Vec<ShippedRows>) -> Result<usize, Error> {
        let (message, query) = message(plan, false, rows);
        let delegation = self.delegation(&message, query);
        self.send(&self.identity, message, &delegation).await
    }
}

fn message(plan: Vec<u8>, keys_follow: bool, shipped: Vec<ShippedRows>) -> (Vec<u8>, QueryId) {
    let query = QueryId::generate();
    let output_schema = weft_door::schema::to_bytes(&columns());
    let request = FragmentRequest {
        query_id: query.to_string(),
        encoding: FRAGMENT_ENCODING.to_owned(),
        plan,
        timeout_ms: 10_000,
        semantics: Some(Semantics {
            time_zone: "+00:00".to_owned(),
            query_start_ns: 0,
        }),
        tables: vec![TableExpectation {
            product: "orders".to_owned(),
            table: "t".to_owned(),
            schema_fingerprint: weft_plan::fingerprint(&columns()).to_vec(),
        }],
        output_schema,
        keys_follow,
        shipped,
        ordinal: 0,
        compression: 0,
        purpose: None,
        reservation: None,
        tell_last_row: false,
    };
    (request.encode_to_vec(), query)
}

#[test]
fn a_fragment_that_names_files_is_refused_before_anything_is_read_or_written() {
    run(async {
        let mesh = mesh().await;
        let sender = Sender::new(&mesh, "analyst", "sales").await;
        let secret = mesh.folder().join("secret.csv");
        std::fs::write(&secret, "a\n1\n").expect("file");
        let target = mesh.folder().join("stolen");
        let read = LogicalPlanNode {
            logical_plan_type: Some(LogicalPlanType::ListingScan(ListingTableScanNode {
                paths: vec![secret.display().to_string()],
                file_extension: ".csv".to_owned(),
                ..ListingTableScanNode::default()
            })),
        };
        let write = LogicalPlanNode {
            logical_plan_type: Some(LogicalPlanType::CopyTo(Box::new(CopyToNode {
                input: Some(Box::new(read.clone())),
                output_url: target.display().to_string(),
                ..CopyToNode::default()
            }))),
        };
        for (plan, what) in [(read, "a file scan"), (write, "a copy to a file")] {
            let error = sender
                .plan(plan.encode_to_vec())
                .await
                .expect_err("refused");
            assert_eq!(error.code(), code::FRAGMENT_REFUSED);
            assert!(error.to_string().contains(what), "{error}");
        }
        assert!(!target.exists());
        let error = sender.plan(vec![0xff; 64]).await.expect_err("garbage");
        assert_eq!(error.code(), code::FRAGMENT_REFUSED);
    });
}

/// Rows that a fragment brings along are few, literal, and never all that it is about; lists are
/// unnested one level deep.
#[test]
fn what_is_no_table_is_kept_within_limits() {
    run(async {
        let mesh = mesh().await;
        let sender = Sender::new(&mesh, "analyst", "sales").await;
        let plan = |kind| LogicalPlanNode {
            logical_plan_type: Some(kind),
        };
        let table = || LogicalPlanNode::decode(scan("orders", "t").as_slice()).expect("a scan");
        let beside = |other| {
            plan(LogicalPlanType::CrossJoin(Box::new(CrossJoinNode {
                left: Some(Box::new(table())),
                right: Some(Box::new(other)),
            })))
        };
        let values = |columns, expr: LogicalExprNode, count| {
            plan(LogicalPlanType::Values(ValuesNode {
                n_cols: columns,
                values_list: vec![expr; count],
            }))
        };
        let one = || expression(datafusion::prelude::lit(1_i64));
        let computed = || expression(datafusion::prelude::lit(1_i64) + datafusion::prelude::lit(2));
        let row = |produce_one_row| {
            plan(LogicalPlanType::EmptyRelation(EmptyRelationNode {
                produce_one_row,
            }))
        };
        let unnest = |depth: Option<u32>, recursions| {
            plan(LogicalPlanType::Unnest(Box::new(UnnestNode {
                input: Some(Box::new(table())),
                list_type_columns: vec![ColumnUnnestListItem {
                    input_index: 0,
                    recursion: depth.map(|depth| ColumnUnnestListRecursion {
                        output_column: None,
                        depth,
                    }),
                }],
                options: Some(UnnestOptions {
                    null_handling: 0,
                    recursions,
                }),
                ..UnnestNode::default()
            })))
        };
        let named = |depth| RecursionUnnestOption {
            input_column: Some(Default::default()),
            output_column: Some(Default::default()),
            depth,
        };
        for (plan, code, what) in [
            (beside(values(1, one(), 10_001)), code::TOO_COMPLEX, "10001"),
            (
                beside(values(1, computed(), 1)),
                code::FRAGMENT_REFUSED,
                "computed",
            ),
            (
                beside(values(0, one(), 1)),
                code::FRAGMENT_REFUSED,
                "without form",
            ),
            (
                beside(values(2, one(), 3)),
                code::FRAGMENT_REFUSED,
                "without form",
            ),
            (
                beside(values(1, one(), 0)),
                code::FRAGMENT_REFUSED,
                "without form",
            ),
            (
                beside(row(false)),
                code::FRAGMENT_REFUSED,
                "an empty relation",
            ),
            (
                values(1, one(), 1),
                code::FRAGMENT_REFUSED,
                "no table at all",
            ),
            (row(true), code::FRAGMENT_REFUSED, "no table at all"),
            (
                unnest(Some(2), Vec::new()),
                code::FRAGMENT_REFUSED,
                "lists in lists",
            ),
            (
                unnest(None, Vec::new()),
                code::FRAGMENT_REFUSED,
                "lists in lists",
            ),
            (
                unnest(Some(1), vec![named(2)]),
                code::FRAGMENT_REFUSED,
                "lists in lists",
            ),
            (
                unnest(
                    Some(1),
                    vec![RecursionUnnestOption {
                        input_column: None,
                        ..named(1)
                    }],
                ),
                code::FRAGMENT_REFUSED,
                "without name",
            ),
            (
                unnest(Some(1), vec![named(1); 33]),
                code::TOO_COMPLEX,
                "32 columns",
            ),
        ] {
            let error = sender.plan(plan.encode_to_vec()).await.expect_err(what);
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(what), "{error}");
        }
        // What is within them gets as far as the comparison of columns.
        for plan in [beside(values(1, one(), 10_000)), beside(row(true))] {
            let answer = sender.plan(plan.encode_to_vec()).await;
            let refused = answer
                .as_ref()
                .is_err_and(|error| error.code() == code::FRAGMENT_REFUSED);
            assert!(!refused, "{answer:?}");
        }
    });
}

fn expression(expr: datafusion::logical_expr::Expr) -> LogicalExprNode {
    let domain: weft_governance::DomainId = "sales".parse().expect("domain");
    let codec = weft_plan::LeafCodec::new(domain);
    let node = datafusion_proto::logical_plan::to_proto::serialize_expr(&expr, &codec);
    let node: LogicalExprNode = node.expect("encoded");
    assert!(!matches!(node.expr_type, None | Some(ExprType::Column(_))));
    node
}

#[test]
fn a_fragment_needs_a_fresh_delegation_by_the_coordinator_that_sends_it() {
    run(async {
        let mesh = mesh().await;
        let sender = Sender::new(&mesh, "analyst", "sales").await;
        let plan = LogicalPlanNode::default().encode_to_vec();
        let (fragment, query) = message(plan, false, Vec::new());
        let signed = sender.delegation(&fragment, query);

        // The first use gets past the delegation to the plan, which is empty.
        let error = sender
            .send(&sender.identity, fragment.clone(), &signed)
            .await
            .expect_err("empty");
        assert_eq!(error.code(), code::FRAGMENT_REFUSED);
        let error = sender
            .send(&sender.identity, fragment.clone(), &signed)
            .await
            .expect_err("replayed");
        assert_eq!(error.code(), code::REPLAYED);

        let (other, _) = message(vec![1, 2, 3], false, Vec::new());
        let error = sender
            .send(&sender.identity, other, &signed)
            .await
            .expect_err("another fragment");
        assert_eq!(error.code(), code::DELEGATION);

        let thief = mesh.identity(&ServerId::coordinator("second").expect("name"));
        let signed = sender.delegation(&fragment, query);
        let error = sender
            .send(&thief, fragment.clone(), &signed)
            .await
            .expect_err("another server");
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);

        let node = mesh.identity(&node_id("crm"));
        let error = sender
            .send(&node, fragment, &signed)
            .await
            .expect_err("a node is no coordinator");
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    });
}

#[test]
fn a_fragment_for_an_ungranted_table_is_denied_and_written_down() {
    run(async {
        let mesh = mesh().await;
        let outsider = Sender::new(&mesh, "outsider", "sales").await;
        let scan = scan("orders", "t");
        let error = outsider.plan(scan.clone()).await.expect_err("denied");
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::PermissionDenied, code::NOT_GRANTED),
            "{error}"
        );
        let analyst = Sender::new(&mesh, "analyst", "sales").await;
        assert!(
            analyst.plan(scan).await.expect("granted") >= 3,
            "a schema, rows, the terminal"
        );
        assert_eq!(decisions(&mesh), ["Denied outsider", "Admitted analyst"]);
    });
}

/// What the node of `sales` wrote down about fragments.
fn decisions(mesh: &Mesh) -> Vec<String> {
    let log = weft_ledger::Ledger::open(&mesh.ledger("sales")).expect("log");
    let records = log.read(0, 100).expect("records");
    records
        .into_iter()
        .map(|record| {
            let who = record.event.principal.unwrap_or_default();
            format!("{:?} {who}", record.event.kind)
        })
        .filter(|decision| decision.starts_with("Denied") || decision.starts_with("Admitted"))
        .collect()
}

/// A fragment may come before the keys that it waits for.
#[test]
fn a_fragment_that_never_gets_its_keys_is_not_run() {
    run(async {
        let mesh = mesh().await;
        let sender = Sender::new(&mesh, "analyst", "sales").await;
        let cancel = FragmentControl {
            cancel: true,
            ..FragmentControl::default()
        };
        let withdrawn = futures::stream::iter([cancel]).chain(futures::stream::pending());
        let forgotten = futures::stream::empty();
        for (error, code) in [
            (
                sender.waiting(scan("orders", "t"), withdrawn).await,
                code::CANCELLED,
            ),
            (
                sender.waiting(scan("orders", "t"), forgotten).await,
                code::PROTOCOL,
            ),
        ] {
            assert_eq!(error.expect_err("not run").code(), code);
        }
        // They come late, and the fragment still waits.
        let keys = FragmentControl {
            keys: Some(KeyFilters::default()),
            ..FragmentControl::default()
        };
        let late = futures::stream::once(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            keys
        });
        let late = late.chain(futures::stream::pending());
        let frames = sender.waiting(scan("orders", "t"), late).await;
        assert_eq!(frames.expect("a schema, rows, a terminal message"), 3);
        assert_eq!(decisions(&mesh), ["Admitted analyst"]);
    });
}

/// Keys come from another domain by way of a coordinator; neither is trusted.
#[test]
fn keys_that_do_not_fit_the_answer_are_refused_and_never_taken_for_others() {
    run(async {
        let mesh = mesh().await;
        let sender = Sender::new(&mesh, "analyst", "sales").await;
        let filter = |form: Form| KeyFilter {
            form: form.into(),
            columns: vec![0],
            ..KeyFilter::default()
        };
        let bitmap = |base, bits: &[u8]| KeyFilter {
            base,
            bits: bits.to_vec(),
            ..filter(Form::Bitmap)
        };
        // Controls: of three rows one is a key; no key keeps none.
        let rows = |filter| sender.filtered(scan("orders", "t"), vec![filter]);
        let all = sender.plan(scan("orders", "t")).await.expect("all rows");
        assert_eq!(all, 3, "a schema, rows, a terminal message");
        assert_eq!(rows(bitmap(1, &[1])).await.expect("kept"), 3);
        assert_eq!(rows(bitmap(4, &[1])).await.expect("none kept"), 2);

        let truncated = ArrowMessage {
            header: vec![0xff; 40],
            body: vec![0; 8],
        };
        let wrong = [
            KeyFilter::default(),
            filter(Form::Bloom),
            KeyFilter {
                bits: vec![0; 33],
                ..filter(Form::Bloom)
            },
            KeyFilter {
                columns: vec![1],
                ..bitmap(0, &[1])
            },
            KeyFilter {
                columns: vec![u32::MAX],
                ..bitmap(0, &[1])
            },
            KeyFilter {
                columns: Vec::new(),
                ..bitmap(0, &[1])
            },
            KeyFilter {
                columns: vec![0; 1_000],
                ..filter(Form::List)
            },
            KeyFilter {
                columns: vec![0, 0],
                ..bitmap(0, &[1])
            },
            KeyFilter {
                nulls: true,
                ..bitmap(0, &[1])
            },
            bitmap(i64::MAX, &[1]),
            KeyFilter {
                messages: vec![truncated],
                ..filter(Form::List)
            },
            KeyFilter {
                messages: text_keys(),
                ..filter(Form::List)
            },
            KeyFilter {
                messages: text_keys(),
                ..filter(Form::Range)
            },
        ];
        for filter in wrong {
            let error = rows(filter.clone()).await.expect_err("refused");
            assert_eq!(error.code(), code::PROTOCOL, "{filter:?}: {error}");
        }
        let many = vec![bitmap(1, &[1]); 1_000];
        let error = sender.filtered(scan("orders", "t"), many).await;
        assert_eq!(error.expect_err("refused").code(), code::PROTOCOL);
    });
}

/// Rows of other domains come the same way.
#[test]
fn shipped_rows_that_do_not_fit_their_leaf_are_refused() {
    run(async {
        let mesh = mesh().await;
        let sender = Sender::new(&mesh, "analyst", "sales").await;
        let rows = |number, messages| ShippedRows { number, messages };
        let joined = || joined_with_shipped(0);
        // Control: one of the three rows has a partner.
        let control = sender.shipped(joined(), vec![rows(0, number_rows())]).await;
        assert_eq!(
            control.expect("joined"),
            3,
            "a schema, rows, a terminal message"
        );

        let truncated = ArrowMessage {
            header: vec![0xff; 40],
            body: vec![0; 8],
        };
        let wrong = [
            (joined(), Vec::new()),
            (joined(), vec![rows(1, number_rows())]),
            (joined(), vec![rows(0, Vec::new())]),
            (joined(), vec![rows(0, text_keys())]),
            (joined(), vec![rows(0, vec![truncated])]),
            (
                joined(),
                vec![rows(0, number_rows()), rows(0, number_rows())],
            ),
            (
                joined(),
                vec![rows(0, number_rows()), rows(1, number_rows())],
            ),
            (scan("orders", "t"), vec![rows(0, number_rows())]),
            (
                joined(),
                (0..1_000).map(|it| rows(it, number_rows())).collect(),
            ),
        ];
        for (number, (plan, rows)) in wrong.into_iter().enumerate() {
            let error = sender.shipped(plan, rows).await.expect_err("refused");
            assert_eq!(error.code(), code::PROTOCOL, "{number}: {error}");
        }
        // Shipped rows alone are nothing to decide on.
        let alone = sender
            .shipped(shipped_alone(0), vec![rows(0, number_rows())])
            .await;
        assert_eq!(alone.expect_err("refused").code(), code::FRAGMENT_REFUSED);
        let foreign = sender.shipped(
            joined_with(scan_of("people", "t"), 0),
            vec![rows(0, number_rows())],
        );
        foreign.await.expect_err("not granted");
    });
}

/// The number 2, as a node gets it.
fn number_rows() -> Vec<ArrowMessage> {
    use arrow::array::{ArrayRef, Int64Array};
    messages(std::sync::Arc::new(Int64Array::from(vec![2])) as ArrayRef)
}

/// Keys of another type than the column's.
fn text_keys() -> Vec<ArrowMessage> {
    use arrow::array::{ArrayRef, StringArray};
    messages(std::sync::Arc::new(StringArray::from(vec!["1"])) as ArrayRef)
}

fn messages(column: arrow::array::ArrayRef) -> Vec<ArrowMessage> {
    use arrow::array::RecordBatch;
    let batch = RecordBatch::try_from_iter([("key", column)]).expect("batch");
    let mut encoder = weft_door::encode::Encoder::new(batch.schema());
    let schema = encoder.schema_frame();
    let frames = std::iter::once(schema).chain(encoder.encode(&batch).expect("encoded"));
    frames
        .map(|frame| ArrowMessage {
            header: frame.data_header.into(),
            body: frame.data_body.into(),
        })
        .collect()
}

/// What the table has.
fn columns() -> Schema {
    Schema::new(vec![Field::new("id", DataType::Int64, true)])
}

/// A plan that reads the column `id` of a table.
fn scan(product: &str, table: &str) -> Vec<u8> {
    encoded(&scan_of(product, table))
}

/// The table of `sales` that may be read, and of its rows those that have a partner among shipped ones.
fn joined_with_shipped(number: u32) -> Vec<u8> {
    joined_with(scan_of("orders", "t"), number)
}

fn joined_with(table: LogicalPlan, number: u32) -> Vec<u8> {
    let joined = LogicalPlanBuilder::from(table)
        .join(
            shipped_scan(number),
            JoinType::LeftSemi,
            (vec!["t.id"], vec!["shipped.c0"]),
            None,
        )
        .and_then(LogicalPlanBuilder::build);
    encoded(&joined.expect("plan"))
}

/// Nothing but shipped rows.
fn shipped_alone(number: u32) -> Vec<u8> {
    encoded(&shipped_scan(number))
}

fn shipped_scan(number: u32) -> LogicalPlan {
    let columns = Schema::new(vec![Field::new("c0", DataType::Int64, true)]);
    let leaf = weft_plan::ShippedTable::new(number, Arc::new(columns));
    built("shipped", Arc::new(leaf))
}

fn scan_of(product: &str, table: &str) -> LogicalPlan {
    let reference = weft_governance::ProductRef::new(sales(), product)
        .and_then(|product| product.table(table))
        .expect("names");
    let leaf = weft_plan::ProductTable::new(reference, Arc::new(columns()));
    built("t", Arc::new(leaf))
}

fn built(name: &str, leaf: Arc<dyn TableProvider>) -> LogicalPlan {
    LogicalPlanBuilder::scan(name, provider_as_source(leaf), None)
        .and_then(LogicalPlanBuilder::build)
        .expect("plan")
}

fn encoded(plan: &LogicalPlan) -> Vec<u8> {
    LogicalPlanNode::try_from_logical_plan(plan, &weft_plan::LeafCodec::new(sales()))
        .expect("encoded")
        .encode_to_vec()
}

fn sales() -> weft_governance::DomainId {
    "sales".parse().expect("domain")
}

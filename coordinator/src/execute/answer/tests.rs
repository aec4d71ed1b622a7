use std::time::SystemTime;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Field, Schema};
use weft_door::encode::Encoder;
use weft_governance::QueryId;
use weft_wire::identity::Identity;

use super::*;

const NODE: &str = "node/crm/crm-1";

/// What a node with a key of its own says of a fragment.
struct Node {
    id: FragmentId,
    identity: Identity,
    encoder: Encoder,
}

impl Node {
    fn new() -> Self {
        let mesh = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        let ca = params.self_signed(&mesh).expect("signed").pem();
        let issuer = rcgen::Issuer::from_ca_cert_pem(&ca, mesh).expect("an issuer");
        let key = rcgen::KeyPair::generate().expect("a key");
        let server: ServerId = NODE.parse().expect("a server");
        let name = weft_wire::identity::tls_name(&server);
        let params = rcgen::CertificateParams::new(vec![name]).expect("a name");
        let certificate = params.signed_by(&key, &issuer).expect("signed").pem();
        let identity = Identity::new(server, certificate, key.serialize_pem(), ca);
        Self {
            id: FragmentId {
                query: QueryId::generate(),
                ordinal: 0,
            },
            identity: identity.expect("an identity"),
            encoder: Encoder::new(schema()).digesting(),
        }
    }

    /// As a coordinator reads it.
    fn answer(&self) -> Answer {
        let domain = "crm".parse().expect("a domain");
        let from = (NODE.parse().expect("a server"), domain);
        Answer::new(self.id, from, schema(), Compression::None)
    }

    fn schema(&mut self) -> FlightData {
        self.encoder.schema_frame()
    }

    fn rows(&mut self, rows: &[i64]) -> FlightData {
        let column: ArrayRef = Arc::new(Int64Array::from(rows.to_vec()));
        let batch = RecordBatch::try_new(schema(), vec![column]).expect("a batch");
        let mut frames = self.encoder.encode(&batch).expect("encoded");
        frames.remove(0)
    }

    fn terminal(&self, end: End, receipt: String) -> FlightData {
        let terminal = FragmentTerminal {
            end: end.into(),
            rows: self.encoder.rows(),
            batches: self.encoder.batches(),
            bytes: self.encoder.bytes(),
            receipt,
        };
        FlightData {
            app_metadata: terminal.encode_to_vec().into(),
            ..FlightData::default()
        }
    }

    fn last_row(&self) -> FlightData {
        self.terminal(End::Rows, String::new())
    }

    fn end(&self) -> FlightData {
        self.terminal(End::Complete, self.receipt())
    }

    fn receipt(&self) -> String {
        let sent = self.encoder.sent();
        let receipt = Receipt {
            node: NODE.to_owned(),
            query: self.id.query.to_string(),
            fragment: self.id.ordinal,
            principal: "ann".to_owned(),
            purpose: None,
            request: String::new(),
            tables: Vec::new(),
            epoch: 1,
            policy: None,
            complete: true,
            rows: sent.rows,
            bytes: sent.bytes,
            digest: sent.digest,
            at: SystemTime::now().into(),
        };
        receipt.sign(&self.identity).expect("signed")
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]))
}

/// What comes of `frames`, in short.
fn heard(answer: &mut Answer, frames: impl IntoIterator<Item = FlightData>) -> Vec<&'static str> {
    let said = |frame| match answer.heed(frame) {
        Ok(None) => "schema",
        Ok(Some(Said::Rows(_))) => "rows",
        Ok(Some(Said::LastRow)) => "last row",
        Ok(Some(Said::End(_))) => "end",
        Err(error) if error.code() == code::INCOMPLETE => "incomplete",
        Err(error) if error.code() == code::PROTOCOL => "broken",
        Err(error) => panic!("{error}"),
    };
    frames.into_iter().map(said).collect()
}

#[test]
fn an_answer_ends_with_what_its_node_signs_and_may_tell_of_its_last_row_before() {
    let mut node = Node::new();
    let mut answer = node.answer();
    let frames = [
        node.schema(),
        node.rows(&[1, 2]),
        node.last_row(),
        node.end(),
    ];
    let said = heard(&mut answer, frames);
    assert_eq!(said, ["schema", "rows", "last row", "end"]);
    assert_eq!((answer.rows(), answer.bytes()), (2, node.encoder.bytes()));

    let mut node = Node::new();
    let mut answer = node.answer();
    let frames = [node.schema(), node.rows(&[1]), node.end()];
    assert_eq!(heard(&mut answer, frames), ["schema", "rows", "end"]);
}

#[test]
fn an_answer_of_which_rows_are_missing_is_incomplete_whatever_its_node_says() {
    for last in [Node::last_row, Node::end] {
        let mut node = Node::new();
        let mut answer = node.answer();
        let (schema, _lost) = (node.schema(), node.rows(&[1, 2]));
        let said = heard(&mut answer, [schema, last(&node)]);
        assert_eq!(said, ["schema", "incomplete"]);
    }
    let mut node = Node::new();
    let mut answer = node.answer();
    let frames = [node.schema(), node.terminal(End::Stopped, node.receipt())];
    assert_eq!(heard(&mut answer, frames), ["schema", "incomplete"]);
}

#[test]
fn nothing_but_the_end_follows_the_last_row() {
    let mut node = Node::new();
    let mut answer = node.answer();
    let frames = [node.schema(), node.last_row(), node.rows(&[3]), node.end()];
    let said = heard(&mut answer, frames);
    assert_eq!(said[..3], ["schema", "last row", "broken"]);

    let mut node = Node::new();
    let mut answer = node.answer();
    let frames = [node.schema(), node.last_row(), node.last_row()];
    assert_eq!(heard(&mut answer, frames), ["schema", "last row", "broken"]);
}

#[test]
fn an_end_without_the_receipt_for_this_answer_is_refused() {
    let mut node = Node::new();
    let mut answer = node.answer();
    let early = node.receipt();
    let frames = [node.schema(), node.rows(&[1]), node.last_row()];
    assert_eq!(heard(&mut answer, frames), ["schema", "rows", "last row"]);
    for receipt in [String::new(), early, Node::new().receipt()] {
        let said = heard(&mut answer, [node.terminal(End::Complete, receipt)]);
        assert_eq!(said, ["broken"]);
    }
}

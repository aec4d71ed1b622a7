use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlanBuilder, col, lit};
use datafusion_proto::logical_plan::AsLogicalPlan;
use proptest::prelude::*;
use weft_plan::{LeafCodec, ProductTable};
use weft_wire::rpc::fragment::FragmentRequest;

use super::*;
use crate::properties::fragment;

/// The bytes of a plan with several operators over a product's table, as a coordinator writes them.
fn written() -> Vec<u8> {
    let domain: DomainId = "sales".parse().expect("domain");
    let product = ProductRef::new(domain.clone(), "orders").expect("product");
    let fields = [("id", DataType::Int64), ("note", DataType::Utf8)];
    let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true));
    let table = product.table("t").expect("table");
    let table = ProductTable::new(table, Arc::new(Schema::new(fields.to_vec())));
    let source = provider_as_source(Arc::new(table));
    let plan = LogicalPlanBuilder::scan("t", source, None)
        .and_then(|rows| rows.filter(col("id").gt(lit(1_i64))))
        .and_then(|rows| rows.project([col("id") + lit(1_i64), col("note")]))
        .and_then(|rows| rows.limit(0, Some(10)))
        .and_then(LogicalPlanBuilder::build)
        .expect("a plan");
    LogicalPlanNode::try_from_logical_plan(&plan, &LeafCodec::new(domain))
        .expect("encoded")
        .encode_to_vec()
}

fn enveloped() -> Vec<u8> {
    let request = FragmentRequest {
        plan: written(),
        ..FragmentRequest::default()
    };
    request.encode_to_vec()
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        fragment(&bytes);
    }

    #[test]
    fn no_change_of_a_plan_does_harm(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        end in any::<proptest::sample::Index>(),
        written in proptest::sample::select(vec![written(), enveloped()]),
    ) {
        let mut bytes = written;
        prop_assert!(fragment(&bytes), "the control");
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fragment(&bytes);
        bytes.truncate(end.index(bytes.len()));
        fragment(&bytes);
    }
}

/// `WEFT_ACCEPT=1` writes them anew.
#[test]
fn fuzzers_begin_with_fragments_that_are_accepted() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/fragments");
    for (name, bytes) in [("plan", written()), ("envelope", enveloped())] {
        let seed = corpus.join(name);
        if std::env::var_os("WEFT_ACCEPT").is_some() {
            std::fs::create_dir_all(&corpus).expect("a folder");
            std::fs::write(&seed, bytes).expect("written");
        }
        let kept =
            std::fs::read(&seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
        assert!(fragment(&kept), "{name}");
    }
    // What they found once is not found again.
    for kept in std::fs::read_dir(&corpus).expect("a folder") {
        fragment(&std::fs::read(kept.expect("a file").path()).expect("read"));
    }
}

/// Messages nest as deep as their bytes allow, and each level is a call.
#[test]
fn a_plan_that_nests_without_end_is_refused() {
    let mut nested = written();
    for _ in 0..2_000 {
        // A field of bytes around what was there: as a limit, a filter or a sort has its input.
        for field in [0x0a_u8, 0x3a] {
            let mut outer = vec![field];
            prost::encoding::encode_varint(nested.len() as u64, &mut outer);
            outer.extend(nested);
            nested = outer;
        }
    }
    assert!(!fragment(&nested));
}

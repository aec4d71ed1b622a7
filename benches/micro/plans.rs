//! Plans of TPC-H: taken apart between three domains, and on their way to one of them.

use std::sync::LazyLock;

use datafusion_proto::logical_plan::AsLogicalPlan;
use datafusion_proto::protobuf::LogicalPlanNode;
use divan::Bencher;
use harness::Planner;
use prost::Message;
use weft_plan::LeafCodec;
use workload::tpch::QUERIES;

/// One join of two domains, five joins of three, and a query with subqueries.
const CHOSEN: [usize; 3] = [3, 5, 20];

static PLANNER: LazyLock<Planner> = LazyLock::new(|| {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(Planner::new())
});

fn sql(query: usize) -> String {
    QUERIES[query - 1].qualified()
}

/// From the optimized plan of the whole to its pieces.
#[divan::bench(args = CHOSEN)]
fn cut(bencher: Bencher<'_, '_>, query: usize) {
    let planned = PLANNER.plan(&sql(query));
    bencher
        .with_inputs(|| planned.clone())
        .bench_values(|planned| PLANNER.pieces(planned));
}

#[divan::bench(args = CHOSEN)]
fn encode_fragments(bencher: Bencher<'_, '_>, query: usize) {
    let cut = PLANNER.cut(&sql(query));
    bencher.bench(|| {
        let fragments = cut.fragments.iter();
        let encoded = fragments.map(|fragment| {
            let codec = LeafCodec::new(fragment.site.domain.clone());
            let node = LogicalPlanNode::try_from_logical_plan(&fragment.plan, &codec);
            node.expect("has an encoding").encode_to_vec()
        });
        encoded.collect::<Vec<_>>()
    });
}

#[divan::bench(args = CHOSEN)]
fn decode_fragments(bencher: Bencher<'_, '_>, query: usize) {
    let cut = PLANNER.cut(&sql(query));
    let context = PLANNER.context();
    bencher.bench(|| {
        let fragments = cut.fragments.iter();
        let decoded = fragments.map(|fragment| {
            let codec = LeafCodec::new(fragment.site.domain.clone());
            let node = LogicalPlanNode::decode(fragment.encoded.as_ref()).expect("a message");
            node.try_into_logical_plan(&context, &codec)
                .expect("a plan")
        });
        decoded.collect::<Vec<_>>()
    });
}

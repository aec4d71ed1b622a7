use datafusion::logical_expr::{LogicalPlanBuilder, col, lit};
use datafusion_proto::logical_plan::{AsLogicalPlan, DefaultLogicalExtensionCodec};
use proptest::prelude::*;
use weft_plan::FragmentFunctions;

use super::*;

/// What a message is told, whatever it is.
fn judged(bytes: &[u8]) -> Result<(), &'static str> {
    let domain = "sales".parse().expect("domain");
    let functions = FragmentFunctions::of_this_version().names();
    let limits = FragmentLimits::default();
    let checked = check(bytes, &domain, &functions, &limits);
    checked.map(drop).map_err(|error| error.code())
}

/// The bytes of a plan with several operators, as the engine writes them.
fn written() -> Vec<u8> {
    let rows =
        LogicalPlanBuilder::values(vec![vec![lit(1_i64), lit("a")], vec![lit(2_i64), lit("b")]]);
    let plan = rows
        .and_then(|rows| rows.filter(col("column1").gt(lit(1_i64))))
        .and_then(|rows| rows.project([col("column1") + lit(1_i64), col("column2")]))
        .and_then(|rows| rows.limit(0, Some(10)))
        .and_then(LogicalPlanBuilder::build)
        .expect("a plan");
    LogicalPlanNode::try_from_logical_plan(&plan, &DefaultLogicalExtensionCodec {})
        .expect("encoded")
        .encode_to_vec()
}

fn is_refusal(told: Result<(), &'static str>) -> bool {
    match told {
        Ok(()) => true,
        Err(told) => [code::FRAGMENT_REFUSED, code::TOO_COMPLEX, code::PROTOCOL].contains(&told),
    }
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(is_refusal(judged(&bytes)), "{:?}", judged(&bytes));
    }

    #[test]
    fn no_change_of_a_plan_does_harm(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        end in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = written();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert!(is_refusal(judged(&bytes)), "{:?}", judged(&bytes));
        bytes.truncate(end.index(bytes.len()));
        prop_assert!(is_refusal(judged(&bytes)), "{:?}", judged(&bytes));
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
    assert!(judged(&nested).is_err());
}

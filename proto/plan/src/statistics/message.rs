//! Statistics as a node sends them to a coordinator, which does not trust it with types.

use arrow::datatypes::{DataType, Schema, TimeUnit, i256};
use datafusion::common::ScalarValue;
use weft_wire::rpc::node::bound::Value;
use weft_wire::rpc::node::{self as rpc, Bound};

use super::{ColumnStatistics, TableStatistics};

impl TableStatistics {
    /// The message that says this. A bound of a type without an order like that of numbers is left
    /// out.
    pub fn to_message(&self) -> rpc::Statistics {
        let column = |column: &ColumnStatistics| rpc::ColumnStatistics {
            distinct: column.distinct,
            nulls: column.nulls,
            low: column.low.as_ref().and_then(to_bound),
            high: column.high.as_ref().and_then(to_bound),
            width: column.width,
        };
        rpc::Statistics {
            rows: self.rows,
            columns: self.columns.iter().map(column).collect(),
        }
    }

    /// What `message` says of the table with the columns of `schema`. Nothing, if it has another
    /// number of columns; what is no value of a column's type is unknown.
    pub fn from_message(message: rpc::Statistics, schema: &Schema) -> Option<Self> {
        let rpc::Statistics { rows, columns } = message;
        if columns.len() != schema.fields().len() {
            return None;
        }
        let columns = columns.into_iter().zip(schema.fields());
        Some(Self {
            rows,
            columns: columns
                .map(|(column, field)| from_column(column, field.data_type(), rows))
                .collect(),
        })
    }
}

fn from_column(
    message: rpc::ColumnStatistics,
    data_type: &DataType,
    rows: u64,
) -> ColumnStatistics {
    let rpc::ColumnStatistics {
        distinct,
        nulls,
        low,
        high,
        width,
    } = message;
    let bound = |bound: Option<Bound>| from_bound(bound?, data_type);
    let ends = bound(low)
        .zip(bound(high))
        .filter(|(low, high)| low <= high);
    let (low, high) = ends.unzip();
    ColumnStatistics {
        distinct: distinct.map(|distinct| distinct.min(rows)),
        nulls: nulls.map(|nulls| nulls.min(rows)),
        low,
        high,
        width: width.filter(|width| width.is_finite() && *width >= 0.0),
    }
}

fn to_bound(value: &ScalarValue) -> Option<Bound> {
    use ScalarValue as S;
    let value = match value {
        S::Boolean(value) => Value::Boolean((*value)?),
        S::Int8(value) => Value::Integer((*value)?.into()),
        S::Int16(value) => Value::Integer((*value)?.into()),
        S::Int32(value) | S::Date32(value) => Value::Integer((*value)?.into()),
        S::Int64(value)
        | S::Date64(value)
        | S::TimestampSecond(value, _)
        | S::TimestampMillisecond(value, _)
        | S::TimestampMicrosecond(value, _)
        | S::TimestampNanosecond(value, _) => Value::Integer((*value)?),
        S::UInt8(value) => Value::Unsigned((*value)?.into()),
        S::UInt16(value) => Value::Unsigned((*value)?.into()),
        S::UInt32(value) => Value::Unsigned((*value)?.into()),
        S::UInt64(value) => Value::Unsigned((*value)?),
        S::Float32(value) => Value::Floating((*value)?.into()),
        S::Float64(value) => Value::Floating((*value)?),
        S::Decimal32(value, ..) => Value::Decimal((*value)?.to_le_bytes().to_vec()),
        S::Decimal64(value, ..) => Value::Decimal((*value)?.to_le_bytes().to_vec()),
        S::Decimal128(value, ..) => Value::Decimal((*value)?.to_le_bytes().to_vec()),
        S::Decimal256(value, ..) => Value::Decimal((*value)?.to_le_bytes().to_vec()),
        _ => return None,
    };
    Some(Bound { value: Some(value) })
}

fn from_bound(bound: Bound, data_type: &DataType) -> Option<ScalarValue> {
    use DataType as T;
    use ScalarValue as S;
    Some(match (data_type, bound.value?) {
        (T::Boolean, Value::Boolean(value)) => S::from(value),
        (T::Int8, Value::Integer(value)) => S::Int8(Some(value.try_into().ok()?)),
        (T::Int16, Value::Integer(value)) => S::Int16(Some(value.try_into().ok()?)),
        (T::Int32, Value::Integer(value)) => S::Int32(Some(value.try_into().ok()?)),
        (T::Int64, Value::Integer(value)) => S::Int64(Some(value)),
        (T::Date32, Value::Integer(value)) => S::Date32(Some(value.try_into().ok()?)),
        (T::Date64, Value::Integer(value)) => S::Date64(Some(value)),
        (T::Timestamp(unit, zone), Value::Integer(value)) => {
            let (value, zone) = (Some(value), zone.clone());
            match unit {
                TimeUnit::Second => S::TimestampSecond(value, zone),
                TimeUnit::Millisecond => S::TimestampMillisecond(value, zone),
                TimeUnit::Microsecond => S::TimestampMicrosecond(value, zone),
                TimeUnit::Nanosecond => S::TimestampNanosecond(value, zone),
            }
        }
        (T::UInt8, Value::Unsigned(value)) => S::UInt8(Some(value.try_into().ok()?)),
        (T::UInt16, Value::Unsigned(value)) => S::UInt16(Some(value.try_into().ok()?)),
        (T::UInt32, Value::Unsigned(value)) => S::UInt32(Some(value.try_into().ok()?)),
        (T::UInt64, Value::Unsigned(value)) => S::UInt64(Some(value)),
        (T::Float32, Value::Floating(value)) => S::Float32(Some(finite(value)? as f32)),
        (T::Float64, Value::Floating(value)) => S::Float64(Some(finite(value)?)),
        (T::Decimal32(precision, scale), Value::Decimal(value)) => {
            let value = i32::from_le_bytes(value.try_into().ok()?);
            S::Decimal32(Some(value), *precision, *scale)
        }
        (T::Decimal64(precision, scale), Value::Decimal(value)) => {
            let value = i64::from_le_bytes(value.try_into().ok()?);
            S::Decimal64(Some(value), *precision, *scale)
        }
        (T::Decimal128(precision, scale), Value::Decimal(value)) => {
            let value = i128::from_le_bytes(value.try_into().ok()?);
            S::Decimal128(Some(value), *precision, *scale)
        }
        (T::Decimal256(precision, scale), Value::Decimal(value)) => {
            let value = i256::from_le_bytes(value.try_into().ok()?);
            S::Decimal256(Some(value), *precision, *scale)
        }
        _ => return None,
    })
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;

    fn schema(types: &[DataType]) -> Schema {
        let fields = types.iter().enumerate();
        let fields = fields.map(|(place, own)| Field::new(format!("c{place}"), own.clone(), true));
        Schema::new(fields.collect::<Vec<_>>())
    }

    fn bounded(low: ScalarValue, high: ScalarValue) -> ColumnStatistics {
        ColumnStatistics {
            distinct: Some(7),
            nulls: Some(1),
            low: Some(low),
            high: Some(high),
            width: Some(12.5),
        }
    }

    #[test]
    fn what_is_sent_is_what_is_received() {
        use ScalarValue as S;
        let zone = Some("UTC".into());
        let ends = [
            (S::Boolean(Some(false)), S::Boolean(Some(true))),
            (S::Int8(Some(-3)), S::Int8(Some(4))),
            (S::Int64(Some(i64::MIN)), S::Int64(Some(i64::MAX))),
            (S::UInt64(Some(0)), S::UInt64(Some(u64::MAX))),
            (S::Float32(Some(-0.5)), S::Float32(Some(1.5))),
            (S::Float64(Some(-0.1)), S::Float64(Some(1e300))),
            (S::Date32(Some(-1)), S::Date32(Some(20_000))),
            (
                S::TimestampMicrosecond(Some(-5), zone.clone()),
                S::TimestampMicrosecond(Some(5), zone),
            ),
            (
                S::Decimal128(Some(-1), 15, 2),
                S::Decimal128(Some(i128::from(u64::MAX)), 15, 2),
            ),
            (
                S::Decimal256(Some(i256::MINUS_ONE), 60, 2),
                S::Decimal256(Some(i256::MAX), 60, 2),
            ),
        ];
        let schema = schema(
            &ends
                .iter()
                .map(|(low, _)| low.data_type())
                .collect::<Vec<_>>(),
        );
        let columns = ends.into_iter().map(|(low, high)| bounded(low, high));
        let statistics = TableStatistics {
            rows: 100,
            columns: columns.collect(),
        };
        let received = TableStatistics::from_message(statistics.to_message(), &schema);
        assert_eq!(received, Some(statistics));
    }

    #[test]
    fn another_number_of_columns_says_nothing() {
        let statistics = TableStatistics {
            rows: 3,
            columns: vec![ColumnStatistics::default(); 2],
        };
        let schema = schema(&[DataType::Int64]);
        assert_eq!(
            TableStatistics::from_message(statistics.to_message(), &schema),
            None
        );
    }

    #[test]
    fn what_does_not_fit_a_column_is_unknown() {
        use ScalarValue as S;
        let refused = |own: DataType, column: ColumnStatistics| {
            let statistics = TableStatistics {
                rows: 5,
                columns: vec![column],
            };
            let received = TableStatistics::from_message(statistics.to_message(), &schema(&[own]))
                .expect("one");
            received.columns.into_iter().next().expect("one")
        };
        for (own, low, high) in [
            (DataType::Int8, S::Int64(Some(-1_000)), S::Int64(Some(1))),
            (DataType::Utf8, S::Int64(Some(1)), S::Int64(Some(2))),
            (
                DataType::Decimal128(5, 1),
                S::Decimal256(Some(i256::ONE), 5, 1),
                S::Decimal256(Some(i256::ONE), 5, 1),
            ),
            (
                DataType::Float64,
                S::Float64(Some(0.0)),
                S::Float64(Some(f64::NAN)),
            ),
            (DataType::Int64, S::Int64(Some(2)), S::Int64(Some(1))),
        ] {
            let received = refused(own, bounded(low, high));
            assert_eq!((received.low, received.high), (None, None));
            assert_eq!(received.distinct, Some(5), "no more than rows");
        }
        let endless = ColumnStatistics {
            width: Some(f64::INFINITY),
            ..ColumnStatistics::default()
        };
        assert_eq!(refused(DataType::Utf8, endless).width, None);
    }
}

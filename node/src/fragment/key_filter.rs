//! Conditions on a fragment's answer that carry keys of another domain.
//!
//! They are no part of the plan that the coordinator encodes: the node makes them itself from a
//! list of values, so that nothing can be smuggled in with them, and lays them over the answer. The
//! optimizer then moves them down to the scans.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Filter, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, lit,
};
use weft_governance::Error;
use weft_plan::{KeyBitmap, KeyBloom, KeySet, from_datafusion};
use weft_wire::rpc::fragment::ArrowMessage;
use weft_wire::rpc::fragment::KeyFilter as Message;
use weft_wire::rpc::fragment::key_filter::Form;

use super::arrival::decode;
use super::engine::malformed;
use crate::incident;

/// Conditions that one fragment may carry.
const FILTERS: usize = 64;
/// Columns that one key may have.
const COLUMNS: usize = 16;

/// What the audit says of one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySummary {
    /// The columns of the answer.
    pub columns: Vec<String>,
    /// How the keys came.
    pub form: &'static str,
    /// How many there are, where that is known.
    pub keys: Option<usize>,
}

/// Lays the conditions of `messages` over `plan`.
///
/// # Errors
/// `WEFT-PROTOCOL` for keys that do not fit the columns, `WEFT-RESOURCES` for more than there is
/// memory for.
pub(super) fn apply(
    mut plan: LogicalPlan,
    messages: Vec<Message>,
    memory: &Arc<dyn MemoryPool>,
) -> std::result::Result<(LogicalPlan, Vec<KeySummary>), Error> {
    if messages.len() > FILTERS {
        return Err(malformed("number of key filters"));
    }
    let mut summaries = Vec::with_capacity(messages.len());
    for message in messages {
        let columns = columns(&plan, &message.columns)?;
        let filter = KeyFilter::decode(message, &columns, memory)?;
        summaries.push(filter.summary(&columns));
        let condition = filter.condition(&columns)?;
        plan = Filter::try_new(condition, Arc::new(plan))
            .map(LogicalPlan::Filter)
            .map_err(|error| incident::unnumbered("a key filter does not fit", error))?;
    }
    Ok((plan, summaries))
}

/// A column of the answer.
struct Target {
    column: Column,
    data_type: DataType,
}

fn columns(plan: &LogicalPlan, indexes: &[u32]) -> std::result::Result<Vec<Target>, Error> {
    if indexes.is_empty() || indexes.len() > COLUMNS {
        return Err(malformed("key"));
    }
    let schema = plan.schema();
    indexes
        .iter()
        .map(|index| {
            let index = usize::try_from(*index).unwrap_or(usize::MAX);
            if index >= schema.fields().len() {
                return Err(malformed("key"));
            }
            let (qualifier, field) = schema.qualified_field(index);
            Ok(Target {
                column: Column::new(qualifier.cloned(), field.name()),
                data_type: field.data_type().clone(),
            })
        })
        .collect()
}

struct KeyFilter {
    form: Form,
    /// Absent where the range says all that is known.
    test: Option<Test>,
    /// The least and the greatest key.
    range: Option<(ScalarValue, ScalarValue)>,
    memory: MemoryReservation,
}

#[derive(Debug)]
enum Test {
    List(KeySet),
    Bitmap(KeyBitmap),
    Bloom(KeyBloom),
}

impl KeyFilter {
    fn decode(
        message: Message,
        columns: &[Target],
        memory: &Arc<dyn MemoryPool>,
    ) -> std::result::Result<Self, Error> {
        let form = message.form();
        let Message {
            messages,
            bits,
            nulls,
            base,
            ..
        } = message;
        let reservation = MemoryConsumer::new("key filter").register(memory);
        let only = match columns {
            [only] if !nulls => Some(&only.data_type),
            _ => None,
        };
        let (test, range) = match (form, only) {
            (Form::List, _) => {
                let set = list(messages, columns, nulls, &reservation)?;
                let range = match only {
                    Some(_) => ends(&set)?,
                    None => None,
                };
                (Some(Test::List(set)), range)
            }
            (Form::Range, Some(_)) => (None, ends(&list(messages, columns, nulls, &reservation)?)?),
            (Form::Bitmap, Some(data_type)) => {
                reservation
                    .try_resize(bits.len())
                    .map_err(from_datafusion)?;
                let bitmap = KeyBitmap::new(data_type, base, bits);
                let bitmap = bitmap.map_err(|_| malformed("key bitmap"))?;
                let end = |key| ScalarValue::from(key).cast_to(data_type);
                let range = bitmap
                    .ends()
                    .and_then(|(least, greatest)| Some((end(least).ok()?, end(greatest).ok()?)));
                (Some(Test::Bitmap(bitmap)), range)
            }
            (Form::Bloom, Some(data_type)) => {
                reservation
                    .try_resize(bits.len())
                    .map_err(from_datafusion)?;
                let bloom = KeyBloom::new(std::slice::from_ref(data_type), &bits);
                let bloom = bloom.map_err(|_| malformed("Bloom filter"))?;
                (Some(Test::Bloom(bloom)), None)
            }
            (Form::Range | Form::Bitmap | Form::Bloom | Form::Unspecified, _) => {
                return Err(malformed("key filter"));
            }
        };
        Ok(Self {
            form,
            test,
            range,
            memory: reservation,
        })
    }

    fn summary(&self, columns: &[Target]) -> KeySummary {
        KeySummary {
            columns: columns.iter().map(|it| it.column.name.clone()).collect(),
            form: match self.form {
                Form::List => "list",
                Form::Range => "range",
                Form::Bitmap => "bitmap",
                Form::Bloom => "bloom",
                Form::Unspecified => "none",
            },
            keys: match &self.test {
                Some(Test::List(set)) => Some(set.len()),
                Some(Test::Bitmap(bitmap)) => Some(bitmap.len()),
                Some(Test::Bloom(_)) | None => None,
            },
        }
    }

    /// The condition, with the range as comparisons of its own, which files can be skipped by.
    fn condition(self, columns: &[Target]) -> std::result::Result<Expr, Error> {
        let args: Vec<Expr> = columns
            .iter()
            .map(|it| Expr::Column(it.column.clone()))
            .collect();
        let between = match (&self.range, args.first()) {
            (Some((least, greatest)), Some(column)) => Some(
                column
                    .clone()
                    .gt_eq(lit(least.clone()))
                    .and(column.clone().lt_eq(lit(greatest.clone()))),
            ),
            _ => None,
        };
        let among = self.test.map(|test| {
            let function = KeyTest {
                signature: Signature::any(args.len(), Volatility::Immutable),
                test: Arc::new((test, self.memory)),
            };
            Expr::ScalarFunction(ScalarFunction::new_udf(
                Arc::new(ScalarUDF::new_from_impl(function)),
                args,
            ))
        });
        match (between, among) {
            (Some(between), Some(among)) => Ok(between.and(among)),
            (Some(one), None) | (None, Some(one)) => Ok(one),
            // A range of no keys.
            (None, None) => Ok(lit(false)),
        }
    }
}

fn list(
    messages: Vec<ArrowMessage>,
    columns: &[Target],
    nulls: bool,
    reservation: &MemoryReservation,
) -> std::result::Result<KeySet, Error> {
    let types = columns.iter().map(|it| it.data_type.clone()).collect();
    let mut set = KeySet::new(types, nulls).map_err(|_| malformed("type of a key"))?;
    for batch in decode(messages)?.1 {
        set.insert(&fitted(&batch, columns)?)
            .map_err(|_| malformed("type of a key"))?;
        reservation
            .try_resize(set.bytes())
            .map_err(from_datafusion)?;
    }
    Ok(set)
}

/// The least key and the greatest, if there are any.
fn ends(set: &KeySet) -> std::result::Result<Option<(ScalarValue, ScalarValue)>, Error> {
    let Some(columns) = set.range().map_err(|_| malformed("key"))? else {
        return Ok(None);
    };
    let [only] = columns.as_slice() else {
        return Ok(None);
    };
    let end = |row| ScalarValue::try_from_array(only, row).map_err(|_| malformed("key"));
    Ok(Some((end(0)?, end(1)?)))
}

/// The columns of `batch` in the types of the plan, which may hold text in another layout than the
/// wire does.
fn fitted(batch: &RecordBatch, columns: &[Target]) -> std::result::Result<Vec<ArrayRef>, Error> {
    if batch.num_columns() != columns.len() {
        return Err(malformed("key"));
    }
    batch
        .columns()
        .iter()
        .zip(columns)
        .map(|(keys, target)| {
            let same = keys.data_type() == &target.data_type;
            let text = keys.data_type().is_string() && target.data_type.is_string();
            let bytes = is_binary(keys.data_type()) && is_binary(&target.data_type);
            match same || text || bytes {
                true => cast(keys, &target.data_type).map_err(|_| malformed("type of a key")),
                false => Err(malformed("type of a key")),
            }
        })
        .collect()
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    )
}

/// The function that tells whether the keys of a row are among those that came.
#[derive(Debug)]
pub(crate) struct KeyTest {
    signature: Signature,
    test: Arc<(Test, MemoryReservation)>,
}

impl PartialEq for KeyTest {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.test, &other.test)
    }
}

impl Eq for KeyTest {}

impl std::hash::Hash for KeyTest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.test).hash(state);
    }
}

impl KeyTest {
    /// Whether `function` is one of these: it cannot fail on values of its columns, and tells
    /// nothing but which rows it keeps.
    pub(crate) fn is(function: &ScalarUDF) -> bool {
        function.inner().as_ref().downcast_ref::<Self>().is_some()
    }
}

impl ScalarUDFImpl for KeyTest {
    fn name(&self) -> &str {
        "weft_key_among"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let keys = args
            .args
            .iter()
            .map(|arg| arg.to_array(args.number_rows))
            .collect::<Result<Vec<_>>>()?;
        let found = match &self.test.0 {
            Test::List(set) => set.contains(&keys)?,
            Test::Bitmap(bitmap) => bitmap.contains(&keys)?,
            Test::Bloom(bloom) => bloom.contains(&keys)?,
        };
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

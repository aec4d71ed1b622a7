//! The distinct join keys of some rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use datafusion::common::HashSet;
use datafusion::parquet::bloom_filter::Sbbf;

/// Bytes that a key takes in the set beside its own.
const OVERHEAD: usize = 16;

/// Join keys of one or more columns, each once.
#[derive(Debug)]
pub struct KeySet {
    types: Vec<DataType>,
    nulls_equal: bool,
    keys: Keys,
    bytes: usize,
}

#[derive(Debug)]
enum Keys {
    /// One column that fits into 64 bits.
    Integers(HashSet<i64>),
    Rows {
        converter: RowConverter,
        keys: HashSet<Box<[u8]>>,
    },
}

impl KeySet {
    /// Whether keys of this type can be compared by their representation. Floating-point numbers
    /// cannot: zero has two.
    pub fn supports(data_type: &DataType) -> bool {
        data_type.is_integer()
            || data_type.is_decimal()
            || data_type.is_string()
            || matches!(
                data_type,
                DataType::Boolean
                    | DataType::Date32
                    | DataType::Date64
                    | DataType::Timestamp(..)
                    | DataType::Binary
                    | DataType::BinaryView
            )
    }

    /// An empty set for keys of these types. With `nulls_equal`, NULL is a key like any other;
    /// otherwise no key holds NULL.
    ///
    /// # Errors
    /// If keys of such types cannot be compared.
    pub fn new(types: Vec<DataType>, nulls_equal: bool) -> Result<Self, ArrowError> {
        if let Some(other) = types.iter().find(|it| !Self::supports(it)) {
            let message = format!("keys of type {other} cannot be compared");
            return Err(ArrowError::NotYetImplemented(message));
        }
        let keys = match types.as_slice() {
            [only] if !nulls_equal && is_small(only) => Keys::Integers(HashSet::new()),
            _ => {
                let fields = types.iter().cloned().map(SortField::new).collect();
                Keys::Rows {
                    converter: RowConverter::new(fields)?,
                    keys: HashSet::new(),
                }
            }
        };
        Ok(Self {
            types,
            nulls_equal,
            keys,
            bytes: 0,
        })
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        match &self.keys {
            Keys::Integers(keys) => keys.len(),
            Keys::Rows { keys, .. } => keys.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the set takes, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The types of the keys.
    pub fn types(&self) -> &[DataType] {
        &self.types
    }

    /// Adds the keys in `columns`, which have the set's types.
    ///
    /// # Errors
    /// If they have others.
    pub fn insert(&mut self, columns: &[ArrayRef]) -> Result<(), ArrowError> {
        let whole = self.whole(columns);
        match &mut self.keys {
            Keys::Integers(keys) => {
                for key in integers(columns)?.iter().flatten() {
                    if keys.insert(key) {
                        self.bytes += size_of::<i64>() + OVERHEAD;
                    }
                }
            }
            Keys::Rows { converter, keys } => {
                let rows = converter.convert_columns(columns)?;
                for (index, row) in rows.iter().enumerate() {
                    if whole.as_ref().is_none_or(|whole| whole.value(index)) {
                        let key = row.as_ref();
                        if !keys.contains(key) {
                            self.bytes += key.len() + size_of::<Box<[u8]>>() + OVERHEAD;
                            keys.insert(key.into());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// For each row of `columns`, which have the set's types, whether its key is in the set.
    ///
    /// # Errors
    /// If they have others.
    pub fn contains(&self, columns: &[ArrayRef]) -> Result<BooleanArray, ArrowError> {
        let whole = self.whole(columns);
        match &self.keys {
            Keys::Integers(keys) => Ok(integers(columns)?
                .iter()
                .map(|key| Some(key.is_some_and(|key| keys.contains(&key))))
                .collect()),
            Keys::Rows { converter, keys } => {
                let rows = converter.convert_columns(columns)?;
                let found = rows.iter().enumerate().map(|(index, row)| {
                    let whole = whole.as_ref().is_none_or(|whole| whole.value(index));
                    Some(whole && keys.contains(row.as_ref()))
                });
                Ok(found.collect())
            }
        }
    }

    /// The keys in ascending order.
    ///
    /// # Errors
    /// If they cannot be laid out in columns.
    pub fn columns(&self) -> Result<Vec<ArrayRef>, ArrowError> {
        match &self.keys {
            Keys::Integers(keys) => {
                let mut sorted: Vec<i64> = keys.iter().copied().collect();
                sorted.sort_unstable();
                self.restored(Int64Array::from(sorted))
            }
            Keys::Rows { converter, keys } => {
                let mut sorted: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
                sorted.sort_unstable();
                let parser = converter.parser();
                converter.convert_rows(sorted.into_iter().map(|key| parser.parse(key)))
            }
        }
    }

    /// The least key and the greatest, in this order, if there are any; NULL is least.
    ///
    /// # Errors
    /// If they cannot be laid out in columns.
    pub fn range(&self) -> Result<Option<Vec<ArrayRef>>, ArrowError> {
        match &self.keys {
            Keys::Integers(keys) => {
                let ends = keys.iter().min().zip(keys.iter().max());
                ends.map(|(least, greatest)| {
                    self.restored(Int64Array::from(vec![*least, *greatest]))
                })
                .transpose()
            }
            Keys::Rows { converter, keys } => {
                let ends = keys.iter().min().zip(keys.iter().max());
                let parser = converter.parser();
                ends.map(|(least, greatest)| {
                    converter.convert_rows([parser.parse(least), parser.parse(greatest)])
                })
                .transpose()
            }
        }
    }

    /// The blocks of a Bloom filter of the keys that takes a stranger for a key with the probability
    /// `fpp`.
    ///
    /// # Errors
    /// If `fpp` is no probability.
    pub fn bloom(&self, fpp: f64) -> Result<Vec<u8>, ArrowError> {
        let count = u64::try_from(self.len().max(1)).unwrap_or(u64::MAX);
        let mut filter = Sbbf::new_with_ndv_fpp(count, fpp)?;
        match &self.keys {
            Keys::Integers(keys) => keys.iter().for_each(|key| filter.insert(key)),
            Keys::Rows { keys, .. } => keys.iter().for_each(|key| filter.insert(key.as_ref())),
        }
        let mut blocks = Vec::new();
        filter.write_bitset(&mut blocks)?;
        Ok(blocks)
    }

    /// All keys as bits, if they fit into 64 bits each and take at most `most` bytes.
    pub fn bitmap(&self, most: usize) -> Option<KeyBitmap> {
        let Keys::Integers(keys) = &self.keys else {
            return None;
        };
        let (base, last) = (*keys.iter().min()?, *keys.iter().max()?);
        let span = usize::try_from(last.checked_sub(base)?).ok()?;
        let bytes = span / 8 + 1;
        if bytes > most {
            return None;
        }
        let mut bits = vec![0_u8; bytes];
        for key in keys {
            let at = usize::try_from(key - base).ok()?;
            if let Some(byte) = bits.get_mut(at / 8) {
                *byte |= 1 << (at % 8);
            }
        }
        Some(KeyBitmap { base, bits })
    }

    fn restored(&self, keys: Int64Array) -> Result<Vec<ArrayRef>, ArrowError> {
        let keys: ArrayRef = Arc::new(keys);
        self.types.iter().map(|only| cast(&keys, only)).collect()
    }

    /// Which rows can be keys, unless all can.
    fn whole(&self, columns: &[ArrayRef]) -> Option<BooleanArray> {
        match self.nulls_equal {
            true => None,
            false => whole(columns),
        }
    }
}

/// All keys of a set as bits. Keys that lie close together take less room so than in a list.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyBitmap {
    base: i64,
    bits: Vec<u8>,
}

impl KeyBitmap {
    /// The bitmap whose lowest bit of the first byte tells whether `base` is a key, for keys of
    /// `data_type`.
    ///
    /// # Errors
    /// If keys of such a type do not fit into 64 bits, or `bits` reach beyond them.
    pub fn new(data_type: &DataType, base: i64, bits: Vec<u8>) -> Result<Self, ArrowError> {
        let fits = i64::try_from(bits.len())
            .ok()
            .and_then(|bytes| bytes.checked_mul(8)?.checked_add(base))
            .is_some();
        if !is_small(data_type) || !fits {
            let message = format!("a bitmap of {} bytes for {data_type}", bits.len());
            return Err(ArrowError::InvalidArgumentError(message));
        }
        Ok(Self { base, bits })
    }

    /// The key of the first bit.
    pub fn base(&self) -> i64 {
        self.base
    }

    /// The bits.
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        let set = self.bits.iter().map(|byte| byte.count_ones() as usize);
        set.sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|byte| *byte == 0)
    }

    /// The least key and the greatest, if there are any.
    pub fn ends(&self) -> Option<(i64, i64)> {
        let first = self.bits.iter().position(|byte| *byte != 0)?;
        let last = self.bits.iter().rposition(|byte| *byte != 0)?;
        let key =
            |at: usize, bit: u32| Some(self.base + i64::try_from(at * 8).ok()? + i64::from(bit));
        let least = key(first, self.bits.get(first)?.trailing_zeros())?;
        let greatest = key(last, 7 - self.bits.get(last)?.leading_zeros())?;
        Some((least, greatest))
    }

    /// For each row of `columns`, one column of the bitmap's type, whether its key is set.
    ///
    /// # Errors
    /// If it has another.
    pub fn contains(&self, columns: &[ArrayRef]) -> Result<BooleanArray, ArrowError> {
        let found = integers(columns)?
            .iter()
            .map(|key| Some(key.is_some_and(|key| self.has(key))))
            .collect();
        Ok(found)
    }

    fn has(&self, key: i64) -> bool {
        let at = key.checked_sub(self.base).map(usize::try_from);
        let Some(Ok(at)) = at else {
            return false;
        };
        let byte = self.bits.get(at / 8);
        byte.is_some_and(|byte| byte & (1 << (at % 8)) != 0)
    }
}

/// A Bloom filter of join keys that hold no NULL.
#[derive(Debug)]
pub struct KeyBloom {
    filter: Sbbf,
    /// Absent for keys that fit into 64 bits.
    converter: Option<RowConverter>,
}

impl KeyBloom {
    /// Bytes of one block.
    pub const BLOCK: usize = 32;

    /// The filter that [`KeySet::bloom`] made of keys of these types.
    ///
    /// # Errors
    /// If `blocks` are no blocks, or keys of such types cannot be compared.
    pub fn new(types: &[DataType], blocks: &[u8]) -> Result<Self, ArrowError> {
        if blocks.is_empty() || !blocks.len().is_multiple_of(Self::BLOCK) {
            let message = format!("a Bloom filter of {} bytes", blocks.len());
            return Err(ArrowError::InvalidArgumentError(message));
        }
        let converter = match KeySet::new(types.to_vec(), false)?.keys {
            Keys::Integers(_) => None,
            Keys::Rows { converter, .. } => Some(converter),
        };
        Ok(Self {
            filter: Sbbf::new(blocks),
            converter,
        })
    }

    /// For each row of `columns`, which have the filter's types, whether its key may be among the
    /// keys.
    ///
    /// # Errors
    /// If they have others.
    pub fn contains(&self, columns: &[ArrayRef]) -> Result<BooleanArray, ArrowError> {
        let Some(converter) = &self.converter else {
            return Ok(integers(columns)?
                .iter()
                .map(|key| Some(key.is_some_and(|key| self.filter.check(&key))))
                .collect());
        };
        let whole = whole(columns);
        let rows = converter.convert_columns(columns)?;
        let found = rows.iter().enumerate().map(|(index, row)| {
            let whole = whole.as_ref().is_none_or(|whole| whole.value(index));
            Some(whole && self.filter.check(row.as_ref()))
        });
        Ok(found.collect())
    }
}

/// Which rows have no NULL in their key, unless all have none.
fn whole(columns: &[ArrayRef]) -> Option<BooleanArray> {
    if columns.iter().all(|column| column.null_count() == 0) {
        return None;
    }
    let rows = columns.first().map_or(0, |column| column.len());
    let whole = |row| columns.iter().all(|column| column.is_valid(row));
    Some((0..rows).map(|row| Some(whole(row))).collect())
}

fn is_small(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::Date32
            | DataType::Date64
            | DataType::Timestamp(..)
    )
}

fn integers(columns: &[ArrayRef]) -> Result<Int64Array, ArrowError> {
    let [only] = columns else {
        let message = format!("{} columns for a key of one", columns.len());
        return Err(ArrowError::InvalidArgumentError(message));
    };
    Ok(cast(only, &DataType::Int64)?
        .as_primitive::<Int64Type>()
        .clone())
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, StringArray};

    use super::*;

    fn set(columns: &[ArrayRef], nulls_equal: bool) -> KeySet {
        let types = columns.iter().map(|it| it.data_type().clone()).collect();
        let mut set = KeySet::new(types, nulls_equal).expect("supported");
        set.insert(columns).expect("keys");
        set
    }

    #[test]
    fn keys_are_kept_once_and_in_order() {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(7), None, Some(-1), Some(7)]));
        let set = set(&[Arc::clone(&days)], false);
        assert_eq!(set.len(), 2);
        let kept: ArrayRef = Arc::new(Date32Array::from(vec![-1, 7]));
        assert_eq!(set.columns().expect("columns"), [Arc::clone(&kept)]);
        assert_eq!(set.range().expect("range"), Some(vec![kept]));
        let found = set.contains(&[days]).expect("same type");
        assert_eq!(found, BooleanArray::from(vec![true, false, true, true]));
    }

    #[test]
    fn keys_of_several_columns_are_found_together() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), None]));
        let words: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        let set = set(&[Arc::clone(&numbers), Arc::clone(&words)], false);
        assert_eq!(set.len(), 2);
        let crossed: ArrayRef = Arc::new(StringArray::from(vec!["b", "b", "c"]));
        let found = set.contains(&[numbers, crossed]).expect("same types");
        assert_eq!(found, BooleanArray::from(vec![false, true, false]));
    }

    #[test]
    fn null_is_a_key_where_nulls_are_equal() {
        let words: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        let set = set(&[Arc::clone(&words)], true);
        assert_eq!(set.len(), 2);
        let found = set.contains(&[words]).expect("same type");
        assert_eq!(found, BooleanArray::from(vec![true, true]));
    }

    #[test]
    fn an_empty_set_has_no_range_and_contains_nothing() {
        let none: ArrayRef = Arc::new(Int64Array::from(Vec::<i64>::new()));
        let set = set(&[none], false);
        assert!(set.is_empty());
        assert_eq!(set.range().expect("range"), None);
        let some: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        assert_eq!(
            set.contains(&[some]).expect("same type"),
            BooleanArray::from(vec![false])
        );
    }

    #[test]
    fn a_bloom_filter_knows_every_key_and_few_others() {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
        let words: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..1_000).map(|n| format!("word {n}")),
        ));
        let strange: ArrayRef = Arc::new(Int64Array::from_iter_values(1_000..11_000));
        let types = |column: &ArrayRef| vec![column.data_type().clone()];
        for column in [&keys, &words] {
            let blocks = set(&[Arc::clone(column)], false)
                .bloom(0.01)
                .expect("blocks");
            let bloom = KeyBloom::new(&types(column), &blocks).expect("blocks");
            let found = bloom.contains(&[Arc::clone(column)]).expect("same type");
            assert_eq!(found.true_count(), 1_000);
        }
        let blocks = set(&[Arc::clone(&keys)], false)
            .bloom(0.01)
            .expect("blocks");
        let bloom = KeyBloom::new(&types(&keys), &blocks).expect("blocks");
        assert!(bloom.contains(&[strange]).expect("same type").true_count() < 500);
        assert!(KeyBloom::new(&types(&keys), &[0; 33]).is_err());
    }

    #[test]
    fn a_bitmap_holds_just_the_keys() {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![-9, 7, 31]));
        let set = set(&[Arc::clone(&days)], false);
        let bitmap = set.bitmap(6).expect("near one another");
        assert_eq!(set.bitmap(5), None);
        assert_eq!((bitmap.base(), bitmap.len()), (-9, 3));
        assert_eq!(bitmap.ends(), Some((-9, 31)));
        let bits = bitmap.bits().to_vec();
        let came = KeyBitmap::new(&DataType::Date32, -9, bits).expect("fits");
        let asked: ArrayRef = Arc::new(Date32Array::from(vec![-10, -9, 0, 7, 31, 32, 9_999]));
        let found = came.contains(&[asked]).expect("same type");
        let expected = [false, true, false, true, true, false, false];
        assert_eq!(found, BooleanArray::from(expected.to_vec()));
        assert!(KeyBitmap::new(&DataType::Utf8, 0, vec![1]).is_err());
        assert!(KeyBitmap::new(&DataType::Int64, i64::MAX, vec![1]).is_err());
    }

    #[test]
    fn floating_point_keys_are_refused() {
        assert!(KeySet::new(vec![DataType::Float64], false).is_err());
    }
}

//! What the scalar functions share: one implementation that differs by name, types and body.
//!
//! In: arguments of any types. Out: the types the body takes, and its result. The body always sees
//! arrays of one length; constants alone are computed once, as arrays of length one.

use std::hash::{Hash, Hasher};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, PrimitiveArray};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, FieldRef, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

/// The types that the body takes for arguments of these types, or why it takes none.
pub(super) type Takes = fn(&[DataType]) -> Result<Vec<DataType>>;
/// The type of the result for taken arguments.
pub(super) type Gives = fn(&ReturnFieldArgs) -> Result<DataType>;
/// The result, of the type that is given beside the arguments.
pub(super) type Body = fn(&[ArrayRef], &DataType) -> Result<ArrayRef>;

/// A scalar function without state.
#[derive(Debug)]
pub(super) struct Plain {
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
    takes: Takes,
    gives: Gives,
    body: Body,
}

impl Plain {
    pub(super) fn new(name: &'static str, takes: Takes, gives: Gives, body: Body) -> Self {
        Self {
            name,
            aliases: Vec::new(),
            signature: Signature::user_defined(Volatility::Immutable),
            takes,
            gives,
            body,
        }
    }

    pub(super) fn also(mut self, aliases: &[&str]) -> Self {
        self.aliases = aliases.iter().map(|alias| (*alias).to_string()).collect();
        self
    }
}

// A name stands for one function here, and function pointers have no dependable equality.
impl PartialEq for Plain {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Plain {}

impl Hash for Plain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Plain {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        (self.takes)(types).map_err(|error| refuse(&format!("{}: {}", self.name, error.message())))
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal(format!(
            "{}: its type hangs on its arguments",
            self.name
        )))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let given = (self.gives)(&args)?;
        Ok(Field::new(self.name, given, true).into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let result = (self.body)(&arrays, args.return_field.data_type())?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &result, 0,
            )?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// An error in the query, in one sentence.
pub(super) fn refuse(sentence: &str) -> DataFusionError {
    DataFusionError::Plan(sentence.to_string())
}

/// An error in the data, in one sentence.
pub(super) fn fail(sentence: String) -> DataFusionError {
    DataFusionError::Execution(sentence)
}

/// The error for a wrong number of arguments.
pub(super) fn count(expected: &str, types: &[DataType]) -> DataFusionError {
    refuse(&format!("takes {expected}, not {} arguments", types.len()))
}

/// The timestamp that stands for an argument: itself, or that of a date or a text.
pub(super) fn instant(given: &DataType) -> Result<DataType> {
    match given {
        DataType::Timestamp(..) => Ok(given.clone()),
        DataType::Date32 | DataType::Date64 | DataType::Null => Ok(stamp(None)),
        text if is_text(text) => Ok(stamp(None)),
        other => Err(refuse(&format!("takes a timestamp, not {other}"))),
    }
}

/// The type of DuckDB's timestamps: microseconds.
pub(super) fn stamp(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

pub(super) fn is_text(given: &DataType) -> bool {
    matches!(
        given,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// The type of the first argument's zone, in microseconds.
pub(super) fn stamp_like(given: &DataType) -> DataType {
    match given {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        _ => stamp(None),
    }
}

/// The microseconds since 1970 of an array of timestamps, of UTC when they have a zone. Parts of a
/// microsecond are cut towards the past, so that an instant never leaves its bucket.
pub(super) fn micros(array: &ArrayRef) -> Result<Int64Array> {
    scaled(array, 1_000_000)
}

/// The nanoseconds since 1970, as [`micros`].
pub(super) fn nanos(array: &ArrayRef) -> Result<Int64Array> {
    scaled(array, 1_000_000_000)
}

fn scaled(array: &ArrayRef, per_second: i64) -> Result<Int64Array> {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            rescale(array.as_primitive::<TimestampSecondType>(), 1, per_second)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => rescale(
            array.as_primitive::<TimestampMillisecondType>(),
            1_000,
            per_second,
        ),
        DataType::Timestamp(TimeUnit::Microsecond, _) => rescale(
            array.as_primitive::<TimestampMicrosecondType>(),
            1_000_000,
            per_second,
        ),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => rescale(
            array.as_primitive::<TimestampNanosecondType>(),
            1_000_000_000,
            per_second,
        ),
        other => Err(fail(format!("{other} is no timestamp"))),
    }
}

fn rescale<T: ArrowPrimitiveType<Native = i64>>(
    array: &PrimitiveArray<T>,
    from: i64,
    to: i64,
) -> Result<Int64Array> {
    if from >= to {
        return Ok(array.unary(|value| value.div_euclid(from / to)));
    }
    array.try_unary(|value| {
        value
            .checked_mul(to / from)
            .ok_or_else(|| fail(format!("{value} is out of the range of timestamps")))
    })
}

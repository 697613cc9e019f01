//! Implements the scalar functions, which differ by name, types and body only.
//!
//! Arguments are converted to the types that the body takes. The body always gets arrays of one
//! length. A call with constants only is computed once, with arrays of length one.

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

/// Returns the types to which arguments of these types are converted, or why there are none.
pub(super) type Takes = fn(&[DataType]) -> Result<Vec<DataType>>;
/// Returns the type of the result for converted arguments.
pub(super) type Gives = fn(&ReturnFieldArgs) -> Result<DataType>;
/// Computes the result, which has the given type.
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

// Each name is one function, and function pointers cannot be compared reliably.
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
            "{}: its type depends on its arguments",
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

/// Returns an error in the query, from one sentence.
pub(super) fn refuse(sentence: &str) -> DataFusionError {
    DataFusionError::Plan(sentence.to_string())
}

/// Returns an error in the data, from one sentence.
pub(super) fn fail(sentence: String) -> DataFusionError {
    DataFusionError::Execution(sentence)
}

/// Returns the error for a wrong number of arguments.
pub(super) fn count(expected: &str, types: &[DataType]) -> DataFusionError {
    refuse(&format!("takes {expected}, not {} arguments", types.len()))
}

/// Returns the type of timestamp to which an argument is converted. Dates and strings become
/// microseconds without a zone.
pub(super) fn instant(given: &DataType) -> Result<DataType> {
    match given {
        DataType::Timestamp(..) => Ok(given.clone()),
        DataType::Date32 | DataType::Date64 | DataType::Null => Ok(stamp(None)),
        text if is_text(text) => Ok(stamp(None)),
        other => Err(refuse(&format!("takes a timestamp, not {other}"))),
    }
}

/// Returns the type of DuckDB's timestamps: microseconds.
pub(super) fn stamp(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

pub(super) fn is_text(given: &DataType) -> bool {
    matches!(
        given,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// Returns the type of timestamps in microseconds with the zone of `given`.
pub(super) fn stamp_like(given: &DataType) -> DataType {
    match given {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        _ => stamp(None),
    }
}

/// Returns the microseconds since 1970 of timestamps, in UTC if they have a zone. Fractions are
/// rounded towards the past, so that an instant never leaves its bucket.
pub(super) fn micros(array: &ArrayRef) -> Result<Int64Array> {
    scaled(array, 1_000_000)
}

/// Does the same as [`micros`] in nanoseconds.
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

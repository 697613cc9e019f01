//! [`ScalarFunction`]: a scalar function as a name and three function pointers.
//!
//! Every scalar function of the dialect is one value of this type. DataFusion converts the
//! arguments to the types that `coerce` returns, and `compute` gets them as arrays of one length.
//! A call with constants only is computed once, with arrays of length one.

use std::hash::{Hash, Hasher};

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::query::dialect::errors::refuse;

/// Returns the types to which arguments of these types are converted, or why there are none.
pub(super) type Coerce = fn(&[DataType]) -> Result<Vec<DataType>>;
/// Returns the type of the result for converted arguments.
pub(super) type ReturnType = fn(&ReturnFieldArgs) -> Result<DataType>;
/// Computes the result, which has the given type.
pub(super) type Compute = fn(&[ArrayRef], &DataType) -> Result<ArrayRef>;

/// A scalar function without state.
#[derive(Debug)]
pub(super) struct ScalarFunction {
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
    coerce: Coerce,
    return_type: ReturnType,
    compute: Compute,
}

impl ScalarFunction {
    pub(super) fn new(
        name: &'static str,
        coerce: Coerce,
        return_type: ReturnType,
        compute: Compute,
    ) -> Self {
        Self {
            name,
            aliases: Vec::new(),
            signature: Signature::user_defined(Volatility::Immutable),
            coerce,
            return_type,
            compute,
        }
    }

    pub(super) fn with_aliases(mut self, aliases: &[&str]) -> Self {
        self.aliases = aliases.iter().map(|alias| (*alias).to_string()).collect();
        self
    }
}

// Each name is one function, and function pointers cannot be compared reliably.
impl PartialEq for ScalarFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ScalarFunction {}

impl Hash for ScalarFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for ScalarFunction {
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
        (self.coerce)(types).map_err(|error| refuse(&format!("{}: {}", self.name, error.message())))
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal(format!(
            "{}: its type depends on its arguments",
            self.name
        )))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let given = (self.return_type)(&args)?;
        Ok(Field::new(self.name, given, true).into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let result = (self.compute)(&arrays, args.return_field.data_type())?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &result, 0,
            )?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

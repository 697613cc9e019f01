//! Aggregates that DataFusion lacks: `arg_max`, `arg_min`, `mode`, `quantile_disc`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::AggregateUDF;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;

use super::errors::refuse;

mod arg_max;
mod mode;
mod quantile;

/// Returns all aggregates of the dialect.
pub(super) fn functions() -> Vec<AggregateUDF> {
    let extremes = arg_max::functions().into_iter();
    let mut functions: Vec<_> = extremes.map(AggregateUDF::new_from_impl).collect();
    functions.push(AggregateUDF::new_from_impl(mode::Mode::new()));
    functions.push(AggregateUDF::new_from_impl(quantile::Quantile::new()));
    functions
}

/// Returns the type of the values. Refuses DISTINCT, which would change the result.
fn value_type(name: &str, args: &AccumulatorArgs) -> Result<DataType> {
    match args.is_distinct {
        true => Err(refuse(&format!(
            "{name} takes no DISTINCT; write it over SELECT DISTINCT"
        ))),
        false => Ok(args.expr_fields[0].data_type().clone()),
    }
}

/// Returns the state field `name` for a list of `item`.
fn list_field(args: &StateFieldsArgs, name: &str, item: &DataType) -> FieldRef {
    let list = DataType::List(Arc::new(Field::new_list_field(item.clone(), true)));
    Arc::new(Field::new(format_state_name(args.name, name), list, true))
}

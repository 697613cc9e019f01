//! Parser dialect for queries written for DuckDB.
//!
//! It allows what DataFusion's own dialect allows, and DuckDB's additions. It decides only what
//! parses. `name = value` is no named argument here, although it is in DuckDB: it would turn the
//! condition in `bool_or(a = 1)` into one.

use std::any::TypeId;

use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};

/// DuckDB's grammar, as far as queries use it.
#[derive(Debug)]
pub(super) struct Grammar;

macro_rules! allows {
    ($($what:ident)*) => {
        $(fn $what(&self) -> bool {
            true
        })*
    };
}

impl Dialect for Grammar {
    // Where the parser itself checks for a dialect, this one counts as DataFusion's.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect {}.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect {}.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect {}.is_identifier_part(ch)
    }

    // Additions of DuckDB.
    allows! {
        supports_lambda_functions
        supports_notnull_operator
        supports_numeric_literal_underscores
        supports_order_by_all
        supports_trailing_commas
    }

    // DataFusion's, for queries. Left out is the precision of an interval's type, which would take
    // the count of `INTERVAL (7) DAY`.
    allows! {
        allow_extract_custom
        allow_extract_single_quotes
        support_map_literal_syntax
        supports_array_join_syntax
        supports_array_typedef_with_brackets
        supports_bitwise_shift_operators
        supports_comma_separated_trim
        supports_comment_optimizer_hint
        supports_connect_by
        supports_cte_without_as
        supports_data_type_signed_suffix
        supports_detach
        supports_dictionary_syntax
        supports_empty_projections
        supports_explain_with_utility_options
        supports_extract_comma_syntax
        supports_filter_during_aggregation
        supports_from_first_select
        supports_group_by_expr
        supports_group_by_with_modifier
        supports_install
        supports_interpolate
        supports_left_associative_joins_without_parens
        supports_limit_by
        supports_limit_comma
        supports_load_extension
        supports_match_recognize
        supports_multiline_comment_hints
        supports_named_fn_args_with_assignment_operator
        supports_nested_comments
        supports_parens_around_table_factor
        supports_partition_by_after_order_by
        supports_pipe_operator
        supports_prewhere
        supports_projection_trailing_commas
        supports_quote_delimited_string
        supports_select_format
        supports_select_item_multi_column_alias
        supports_select_wildcard_except
        supports_select_wildcard_exclude
        supports_select_wildcard_ilike
        supports_select_wildcard_rename
        supports_select_wildcard_replace
        supports_settings
        supports_string_escape_constant
        supports_struct_literal
        supports_try_convert
        supports_unicode_string_literal
        supports_values_as_table_factor
        supports_window_clause_named_window_reference
        supports_window_function_null_treatment_arg
        supports_with_fill
        supports_xml_expressions
    }
}

//! Translates DuckDB's type names.
//!
//! The type of a cast gets the name that DataFusion knows, or is refused with a sentence that says
//! what to write. Types that both know stay as they are.

use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, DataType, ObjectName, TimezoneInfo};

/// Replaces a type by DataFusion's name for it.
pub(super) fn translate(given: &mut DataType) -> Result<(), String> {
    let translated = match given {
        DataType::UTinyInt => DataType::TinyIntUnsigned(None),
        DataType::USmallInt => DataType::SmallIntUnsigned(None),
        DataType::UBigInt => DataType::BigIntUnsigned(None),
        DataType::Blob(_) | DataType::Binary(_) | DataType::Varbinary(_) | DataType::Bytes(_) => {
            DataType::Bytea
        }
        DataType::Datetime(_) => DataType::Timestamp(None, TimezoneInfo::None),
        DataType::HugeInt | DataType::UHugeInt => {
            return Err(refused(given, "DECIMAL(38, 0)"));
        }
        DataType::JSON | DataType::Uuid | DataType::Enum(..) => {
            return Err(refused(given, "VARCHAR"));
        }
        DataType::Bit(_) | DataType::BitVarying(_) => {
            return Err(refused(given, "BIGINT or VARCHAR"));
        }
        DataType::Map(..) => return Err(refused(given, "map() of two lists")),
        DataType::Union(_) => return Err(refused(given, "one column for each of its types")),
        DataType::Array(
            ArrayElemTypeDef::SquareBracket(inner, _) | ArrayElemTypeDef::AngleBracket(inner),
        ) => return translate(inner),
        DataType::Struct(fields, _) => {
            return fields
                .iter_mut()
                .try_for_each(|field| translate(&mut field.field_type));
        }
        DataType::Custom(name, _) => match named(name)? {
            Some(translated) => translated,
            None => return Ok(()),
        },
        _ => return Ok(()),
    };
    *given = translated;
    Ok(())
}

fn named(name: &ObjectName) -> Result<Option<DataType>, String> {
    let stamp = |precision| DataType::Timestamp(Some(precision), TimezoneInfo::None);
    Ok(Some(match name.to_string().to_uppercase().as_str() {
        "INT1" => DataType::TinyInt(None),
        "SHORT" => DataType::SmallInt(None),
        "SIGNED" => DataType::Integer(None),
        "LONG" | "OID" => DataType::BigInt(None),
        "UINTEGER" => DataType::IntegerUnsigned(None),
        // For places where the grammar has no keyword for them.
        "UTINYINT" => DataType::TinyIntUnsigned(None),
        "USMALLINT" => DataType::SmallIntUnsigned(None),
        "UBIGINT" => DataType::BigIntUnsigned(None),
        "LOGICAL" => DataType::Boolean,
        "BPCHAR" => DataType::Varchar(None),
        "TIMESTAMP_S" => stamp(0),
        "TIMESTAMP_MS" => stamp(3),
        "TIMESTAMP_US" => stamp(6),
        "TIMESTAMP_NS" => stamp(9),
        "HUGEINT" | "UHUGEINT" | "BIGNUM" | "VARINT" => {
            return Err(refused(name, "DECIMAL(38, 0)"));
        }
        "JSON" | "UUID" => return Err(refused(name, "VARCHAR")),
        "BITSTRING" => return Err(refused(name, "BIGINT or VARCHAR")),
        "TIMETZ" => return Err(refused(name, "TIME")),
        _ => return Ok(None),
    }))
}

fn refused(given: impl std::fmt::Display, instead: &str) -> String {
    format!("DataFusion has no type {given}; write {instead}")
}

#[cfg(test)]
mod tests {
    use crate::query::dialect::testing::{error, expect};

    #[test]
    fn duckdb_type_names_are_translated() {
        for (name, expected) in [
            ("TINYINT", "Int8"),
            ("INT1", "Int8"),
            ("SMALLINT", "Int16"),
            ("INTEGER", "Int32"),
            ("BIGINT", "Int64"),
            ("LONG", "Int64"),
            ("UTINYINT", "UInt8"),
            ("USMALLINT", "UInt16"),
            ("UINTEGER", "UInt32"),
            ("UBIGINT", "UInt64"),
            ("DOUBLE", "Float64"),
            ("FLOAT8", "Float64"),
            ("FLOAT", "Float32"),
            ("REAL", "Float32"),
            ("DECIMAL(10, 2)", "Decimal128(10, 2)"),
            ("BOOL", "Boolean"),
            ("LOGICAL", "Boolean"),
            ("DATE", "Date32"),
            ("TIMESTAMP", "Timestamp(ns)"),
            ("TIMESTAMPTZ", "Timestamp(ns)"),
            ("TIMESTAMP_S", "Timestamp(s)"),
            ("TIMESTAMP_MS", "Timestamp(ms)"),
            ("TIMESTAMP_NS", "Timestamp(ns)"),
            ("DATETIME", "Timestamp(ns)"),
            ("BLOB", "Binary"),
            ("INTERVAL", "Interval(MonthDayNano)"),
        ] {
            expect(&[(&format!("arrow_typeof(NULL::{name})"), expected)]);
            expect(&[(&format!("arrow_typeof(TRY_CAST(NULL AS {name}))"), expected)]);
        }
        expect(&[
            ("['1', '2']::UTINYINT[]", "[1, 2]"),
            ("'a'::STRING || 'b'::TEXT", "ab"),
        ]);
    }

    #[test]
    fn types_without_equivalent_are_refused() {
        for (name, instead) in [
            ("HUGEINT", "DECIMAL(38, 0)"),
            ("UHUGEINT", "DECIMAL(38, 0)"),
            ("JSON", "VARCHAR"),
            ("UUID", "VARCHAR"),
            ("HUGEINT[]", "DECIMAL(38, 0)"),
        ] {
            assert!(
                error(&format!("SELECT 1::{name}")).ends_with(&format!("write {instead}")),
                "{name}"
            );
        }
    }
}

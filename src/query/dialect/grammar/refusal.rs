//! Refused constructs of DuckDB, and what to write instead: one sentence each.

/// Returns why a text is refused: by the construct in it, or by the error of the parser. Without an
/// error the text is a statement that is no query.
pub(super) fn refusal(query: &str, error: Option<&str>) -> String {
    let words: Vec<String> = query
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_uppercase)
        .collect();
    let shows = |pair: [&str; 2]| words.windows(2).any(|found| found == pair);
    let first = words.first().map(String::as_str).unwrap_or_default();
    let sentence = match first {
        "SUMMARIZE" => {
            "DataFusion has no SUMMARIZE; write SELECT with min, max, avg and count of the columns"
        }
        "PIVOT" | "UNPIVOT" => PIVOT,
        "ATTACH" | "DETACH" | "USE" | "INSTALL" | "LOAD" | "PRAGMA" => {
            return format!("a pond has no {first}; write a query over its files");
        }
        _ if shows(["ASOF", "JOIN"]) || shows(["ASOF", "LEFT"]) => ASOF,
        _ if shows(["POSITIONAL", "JOIN"]) => POSITIONAL,
        _ if shows(["USING", "SAMPLE"]) => SAMPLE,
        _ if words
            .iter()
            .any(|word| word == "PIVOT" || word == "UNPIVOT") =>
        {
            PIVOT
        }
        _ if words
            .windows(3)
            .any(|found| found[0] == "FOR" && found[2] == "IN") =>
        {
            COMPREHENSION
        }
        _ => {
            return match error {
                Some(error) => {
                    format!("the query is neither DuckDB's SQL nor DataFusion's: {error}")
                }
                None => format!("a recipe is one query, and {first} is none; write SELECT …"),
            };
        }
    };
    sentence.to_string()
}

pub(super) const PIVOT: &str = "DataFusion has no PIVOT; write one aggregate with FILTER (WHERE …) for each column, \
    or UNION ALL for UNPIVOT";
pub(super) const SAMPLE: &str = "DataFusion has no SAMPLE; write WHERE random() < 0.1";
pub(super) const COMPREHENSION: &str =
    "DataFusion has no list comprehension; write list_transform(list, x -> x + 1)";
pub(super) const COLUMNS: &str =
    "DataFusion has no COLUMNS(…); write the columns by name, or * EXCLUDE (…)";
/// The error for an ASOF join.
pub(super) const ASOF: &str = "DataFusion has no ASOF JOIN; write a LEFT JOIN on a.t >= b.t, grouped by \
    the left row, with arg_max(b.value, b.t)";
/// The error for a positional join.
pub(super) const POSITIONAL: &str =
    "DataFusion has no POSITIONAL JOIN; write a JOIN on row_number() OVER () of both sides";

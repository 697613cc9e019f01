//! Marks: placeholders for inputs in text that is cached by content.
//!
//! A result or a failure is shared by all derived files with equal recipes and inputs of equal
//! content, whatever their paths and the permissions of their readers. So while a file is rendered,
//! its inputs have no paths, only marks: `⟦2⟧` is the third input of the recipe, `⟦2.0⟧` the first
//! input of the derived file that is the third. [`DeriveError::named`](super::DeriveError::named)
//! replaces them by the reader's own paths.

use crate::query::{Format, Packing};

const OPEN: char = '⟦';
const CLOSE: char = '⟧';

/// Returns the mark of input `n`.
pub(super) fn mark(n: usize) -> String {
    format!("{OPEN}{n}{CLOSE}")
}

/// Returns the table name of the input with a mark: queries detect its format by the ending.
pub(super) fn label(n: usize, format: Option<(Format, Packing)>) -> String {
    let ending = |(format, packing)| ENDINGS.iter().find(|e| (e.0, e.1) == (format, packing));
    let ending = format.and_then(ending).map_or("", |ending| ending.2);
    format!("{OPEN}{n}{CLOSE}{ending}")
}

/// The endings of labels: one for each format, so that a label reveals no more than the content
/// does.
const ENDINGS: [(Format, Packing, &str); 11] = [
    (CSV, Packing::Gzip, ".csv.gz"),
    (CSV, Packing::Zstd, ".csv.zst"),
    (CSV, Packing::None, ".csv"),
    (TSV, Packing::Gzip, ".tsv.gz"),
    (TSV, Packing::Zstd, ".tsv.zst"),
    (TSV, Packing::None, ".tsv"),
    (Format::JsonLines, Packing::Gzip, ".jsonl.gz"),
    (Format::JsonLines, Packing::Zstd, ".jsonl.zst"),
    (Format::JsonLines, Packing::None, ".jsonl"),
    (Format::Parquet, Packing::None, ".parquet"),
    (Format::Arrow, Packing::None, ".arrow"),
];
const CSV: Format = Format::Csv { separator: b',' };
const TSV: Format = Format::Csv { separator: b'\t' };

/// Moves the marks of a text about input `n` below that input.
pub(super) fn within(text: &str, n: usize) -> String {
    let mut out = String::with_capacity(text.len());
    each(text, &mut out, &mut |place, ending| {
        let place: Vec<String> = place.iter().map(usize::to_string).collect();
        Some(format!("{OPEN}{n}.{}{CLOSE}{ending}", place.join(".")))
    });
    out
}

/// Replaces marks by names. A mark that is unknown to `name` stays.
pub(super) fn named(text: &str, name: &dyn Fn(&[usize]) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    each(text, &mut out, &mut |place, _| name(place));
    out
}

/// Copies a text, and replaces each mark and the ending behind it by `instead`.
fn each(text: &str, out: &mut String, instead: &mut dyn FnMut(&[usize], &str) -> Option<String>) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        out.push_str(before);
        let mark = after.split_once(CLOSE).and_then(|(numbers, behind)| {
            let place = numbers.split('.').map(|n| n.parse().ok());
            let place: Vec<usize> = place.collect::<Option<_>>()?;
            let ending = ENDINGS.iter().find(|e| behind.starts_with(e.2));
            let ending = ending.map_or("", |ending| ending.2);
            Some((instead(&place, ending)?, behind.strip_prefix(ending)?))
        });
        match mark {
            Some((name, behind)) => {
                out.push_str(&name);
                rest = behind;
            }
            None => {
                out.push(OPEN);
                rest = after;
            }
        }
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_get_the_names_of_the_reader() {
        let name = |place: &[usize]| match place {
            [0] => Some("/a.csv".to_owned()),
            [1, 2] => Some("/b".to_owned()),
            _ => None,
        };
        let csv = label(0, Some((CSV, Packing::None)));
        let text = format!("{csv}: line 2 of {csv}; {}: empty", within(&mark(2), 1));
        assert_eq!(named(&text, &name), "/a.csv: line 2 of /a.csv; /b: empty");
        for odd in ["⟦", "⟦⟧", "⟦x⟧", "⟦9⟧ ⟧⟦", "⟦1.⟧"] {
            assert_eq!(named(odd, &name), odd);
        }
    }

    #[test]
    fn marks_of_nested_inputs_lead_through_the_input() {
        let inner = format!("{}: it is empty", label(3, Some((CSV, Packing::Gzip))));
        assert_eq!(within(&within(&inner, 1), 0), "⟦0.1.3⟧.csv.gz: it is empty");
    }
}

//! Glob patterns with captures.
//!
//! Within a component: `*` (any run, the longest first), `$` (any run, the shortest first), `?`
//! (one character), `[a-z]` and `[!a-z]` (one character of a class), and `{a,b*}` (one of several
//! patterns, which may contain wildcards). `**` as a whole component matches any number of
//! directories, and at the end of a pattern everything below. Each of these captures the text that
//! it matches (`{…}` as a whole); captures are counted from zero.
//!
//! `\` takes the next character literally. `(?i)` and `(?-i)` switch case-insensitivity on and off.
//! The components `.` and `..` are refused.
//!
//! Resources use patterns to name their inputs; [`Wd::glob`](super::Wd::glob) finds the matches.

use super::Errno;
use super::matching::match_path;

/// Maximum nesting depth of braces.
const MAX_NESTED: u32 = 16;

/// The bytes are not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a pattern: {0}")]
pub struct PatternError(&'static str);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Literal(Vec<u8>, bool),
    One,
    Any {
        lazy: bool,
    },
    Class {
        not: bool,
        ranges: Vec<(char, char)>,
        fold: bool,
    },
    Either(Vec<Vec<Token>>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Component {
    /// `**`
    Tree,
    /// A name without wildcards.
    Name(Vec<u8>),
    Tokens(Vec<Token>),
}

/// A parsed pattern, relative to the directory that it is used in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub(super) components: Vec<Component>,
}

impl Pattern {
    /// Parses a pattern. A leading slash is ignored: the pattern starts where it is used.
    pub fn new(pattern: &[u8]) -> Result<Pattern, PatternError> {
        let mut fold = false;
        let mut components = Vec::new();
        for part in split(pattern)? {
            components.push(match part {
                b"." | b".." => return Err(PatternError("it has a component `.` or `..`")),
                b"**" => Component::Tree,
                _ => {
                    let mut rest = part;
                    let tokens = tokens(&mut rest, &mut fold, 0)?;
                    match &tokens[..] {
                        [Token::Literal(name, false)] => Component::Name(name.clone()),
                        _ => Component::Tokens(tokens),
                    }
                }
            });
        }
        let twice = |pair: &[Component]| pair == [Component::Tree, Component::Tree];
        match components.windows(2).any(twice) {
            true => Err(PatternError("`**` cannot follow `**`")),
            false if components.is_empty() => Err(PatternError("it is empty")),
            false => Ok(Pattern { components }),
        }
    }

    /// Returns the number of captures of a match.
    pub fn captures(&self) -> usize {
        let count = self.components.iter().map(|component| match component {
            Component::Tree => 1,
            Component::Name(_) => 0,
            Component::Tokens(tokens) => {
                let wild = |t: &&Token| !matches!(t, Token::Literal(..));
                tokens.iter().filter(wild).count()
            }
        });
        count.sum()
    }

    /// Matches a whole path, given as its names. Returns the captures, or `None` if it does not
    /// match.
    pub fn matches(&self, path: &[&[u8]]) -> Option<Vec<Vec<u8>>> {
        let mut captures = Vec::new();
        match_path(&self.components, path, &mut captures).then_some(captures)
    }
}

/// Replaces `$0`, `$1`, … in `template` by the captures. `EINVAL` for a number without a capture.
pub fn substitute(template: &[u8], captures: &[Vec<u8>]) -> Result<Vec<u8>, Errno> {
    let mut out = Vec::with_capacity(template.len());
    let mut rest = template;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if byte != b'$' || digits == 0 {
            out.push(byte);
            continue;
        }
        let (number, tail) = rest.split_at(digits);
        let number = std::str::from_utf8(number)
            .ok()
            .and_then(|n| n.parse::<usize>().ok());
        let capture = number.and_then(|n| captures.get(n)).ok_or(Errno::EINVAL)?;
        out.extend_from_slice(capture);
        rest = tail;
    }
    Ok(out)
}

/// Splits a pattern into its components.
fn split(pattern: &[u8]) -> Result<Vec<&[u8]>, PatternError> {
    let parts = pattern
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty());
    Ok(parts.collect())
}

/// Parses tokens up to the end of a component, or within `depth` braces up to the end of an
/// alternative.
fn tokens(rest: &mut &[u8], fold: &mut bool, depth: u32) -> Result<Vec<Token>, PatternError> {
    let nested = depth > 0;
    if depth > MAX_NESTED {
        return Err(PatternError("its braces nest too deep"));
    }
    let mut tokens: Vec<Token> = Vec::new();
    loop {
        let (byte, tail) = match rest.split_first() {
            None if nested => return Err(PatternError("a `{` is not closed")),
            None => return Ok(tokens),
            Some((b',' | b'}', _)) if nested => return Ok(tokens),
            Some((byte, tail)) => (*byte, tail),
        };
        if let Some(on) = [&b"(?i)"[..], b"(?-i)"]
            .iter()
            .position(|f| rest.starts_with(f))
        {
            *fold = on == 0;
            *rest = rest.split_at(4 + on).1;
            continue;
        }
        *rest = tail;
        let token = match byte {
            b'*' if tail.starts_with(b"*") => {
                return Err(PatternError("`**` has to be a whole component"));
            }
            b'*' => Token::Any { lazy: false },
            b'$' => Token::Any { lazy: true },
            b'?' => Token::One,
            b'[' => class(rest, *fold)?,
            b'{' => {
                let mut either = Vec::new();
                loop {
                    either.push(self::tokens(rest, fold, depth + 1)?);
                    let (close, tail) = rest.split_first().ok_or(PatternError("cut short"))?;
                    *rest = tail;
                    if *close == b'}' {
                        break Token::Either(either);
                    }
                }
            }
            _ => {
                let mut byte = byte;
                if byte == b'\\' {
                    let (escaped, tail) =
                        rest.split_first().ok_or(PatternError("it ends in `\\`"))?;
                    (byte, *rest) = (*escaped, tail);
                }
                match tokens.last_mut() {
                    Some(Token::Literal(bytes, folded)) if folded == fold => {
                        bytes.push(byte);
                        continue;
                    }
                    _ => Token::Literal(vec![byte], *fold),
                }
            }
        };
        tokens.push(token);
    }
}

fn class(rest: &mut &[u8], fold: bool) -> Result<Token, PatternError> {
    let bad = PatternError("a class is not closed, empty, or not UTF-8");
    let length = rest.iter().position(|b| *b == b']').ok_or(bad)?;
    let (inside, tail) = rest.split_at(length);
    *rest = tail.split_first().ok_or(bad)?.1;
    let inside = std::str::from_utf8(inside).map_err(|_| bad)?;
    let (not, inside) = match inside.strip_prefix('!') {
        Some(inside) => (true, inside),
        None => (false, inside),
    };
    let mut ranges = Vec::new();
    let mut chars = inside.chars().peekable();
    while let Some(low) = chars.next() {
        let mut ahead = chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) => {
                ranges.push((low, high));
                chars = ahead;
            }
            _ => ranges.push((low, low)),
        }
    }
    match ranges.is_empty() || ranges.iter().any(|(low, high)| low > high) {
        true => Err(bad),
        false => Ok(Token::Class { not, ranges, fold }),
    }
}

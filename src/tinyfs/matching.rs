//! Matches names and paths against the components of a pattern, by backtracking.

use super::glob::{Component, Token};

/// Continuation of a match. Gets the rest of the text and the captures so far, and returns whether
/// the rest matches.
type Then<'a, 't> = &'a mut dyn FnMut(&'t [u8], &[&'t [u8]]) -> bool;

/// Matches a whole path and appends the captures.
pub(super) fn match_path(
    components: &[Component],
    path: &[&[u8]],
    captures: &mut Vec<Vec<u8>>,
) -> bool {
    let Some((first, rest)) = components.split_first() else {
        return path.is_empty();
    };
    let before = captures.len();
    if *first == Component::Tree {
        // Greedy: as many directories as possible first. At the end of a pattern it needs a name.
        let most = if rest.is_empty() {
            path.len()
        } else {
            path.len().saturating_sub(1)
        };
        let least = usize::from(rest.is_empty());
        for count in (least..=most).rev() {
            let (taken, left) = path.split_at(count);
            let mut text = taken.join(&b'/');
            if !rest.is_empty() && count > 0 {
                text.push(b'/');
            }
            captures.push(text);
            if match_path(rest, left, captures) {
                return true;
            }
            captures.truncate(before);
        }
        return false;
    }
    let Some((name, left)) = path.split_first() else {
        return false;
    };
    let matched = match_component(first, name, captures) && match_path(rest, left, captures);
    if !matched {
        captures.truncate(before);
    }
    matched
}

/// Matches one name against a component. `**` matches every name.
pub(super) fn match_component(of: &Component, name: &[u8], captures: &mut Vec<Vec<u8>>) -> bool {
    match of {
        Component::Tree => true,
        Component::Name(literal) => literal == name,
        Component::Tokens(tokens) => match_tokens(
            tokens,
            name,
            &mut |left, found| {
                let whole = left.is_empty();
                if whole {
                    captures.extend(found.iter().map(|text| text.to_vec()));
                }
                whole
            },
            &mut Vec::new(),
        ),
    }
}

/// Matches tokens against the start of `text`. `then` decides whether the rest matches.
fn match_tokens<'t>(
    tokens: &[Token],
    text: &'t [u8],
    then: Then<'_, 't>,
    found: &mut Vec<&'t [u8]>,
) -> bool {
    let Some((token, rest)) = tokens.split_first() else {
        return then(text, found);
    };
    let mut take = |count: usize, capture: bool, found: &mut Vec<&'t [u8]>| {
        let (taken, left) = text.split_at(count);
        let before = found.len();
        if capture {
            found.push(taken);
        }
        let matched = match_tokens(rest, left, then, found);
        found.truncate(before);
        matched
    };
    match token {
        Token::Literal(literal, fold) => match text.get(..literal.len()) {
            Some(start) if start == literal || *fold && start.eq_ignore_ascii_case(literal) => {
                take(literal.len(), false, found)
            }
            _ => false,
        },
        Token::One => !text.is_empty() && take(character(text).1, true, found),
        Token::Class { not, ranges, fold } => match character(text) {
            (Some(c), len) => {
                let within = |c: char| ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                let folded = within(c.to_ascii_lowercase()) || within(c.to_ascii_uppercase());
                (within(c) || *fold && folded) != *not && take(len, true, found)
            }
            (None, _) => false,
        },
        Token::Any { lazy: true } => (0..=text.len()).any(|count| take(count, true, found)),
        Token::Any { lazy: false } => (0..=text.len()).rev().any(|count| take(count, true, found)),
        Token::Either(either) => either.iter().any(|tokens| {
            let mut inner = |left: &'t [u8], _: &[&'t [u8]]| {
                take(text.len() - left.len(), true, &mut found.clone())
            };
            match_tokens(tokens, text, &mut inner, &mut Vec::new())
        }),
    }
}

/// Returns the first character of a text and its length in bytes; `None` and 1 if the text does not
/// start with valid UTF-8.
fn character(text: &[u8]) -> (Option<char>, usize) {
    let start = text.split_at(text.len().min(4)).0;
    let valid = start
        .utf8_chunks()
        .next()
        .and_then(|chunk| chunk.valid().chars().next());
    (valid, valid.map_or(1, char::len_utf8))
}

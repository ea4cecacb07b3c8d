//! The words of a filter's text.

use std::ops::Range;

use super::condition::Operator;
use super::parse::error;
use crate::Result;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Bare(String),
    Quoted(String),
    Open,
    Close,
    Comma,
    Operator(Operator),
}

/// Signs, longer ones before those that they start with.
const SIGNS: [(&str, Word); 10] = [
    ("==", Word::Operator(Operator::Equal)),
    ("!=", Word::Operator(Operator::Unequal)),
    ("<=", Word::Operator(Operator::AtMost)),
    (">=", Word::Operator(Operator::AtLeast)),
    ("=", Word::Operator(Operator::Equal)),
    ("<", Word::Operator(Operator::Below)),
    (">", Word::Operator(Operator::Above)),
    ("(", Word::Open),
    (")", Word::Close),
    (",", Word::Comma),
];

/// Each word with its bytes in the text.
///
/// # Errors
/// [`Error::Located`](crate::Error::Located) says what is no word.
pub(super) fn words(text: &str) -> Result<Vec<(Word, Range<usize>)>> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (word, length) = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if let Some((sign, word)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            (word.clone(), sign.len())
        } else if first == '!' {
            return Err(error(text, at..at + 1, "found `!`, expected `!=` or `not`"));
        } else if first == '"' || first == '\'' {
            let endless = || error(text, at..text.len(), format!("found {first} without an end, expected another"));
            let (quoted, length) = quoted(rest, first).ok_or_else(endless)?;
            (Word::Quoted(quoted), length)
        } else {
            let ends = |letter: char| letter.is_whitespace() || "(),=!<>".contains(letter);
            let length = rest.find(ends).unwrap_or(rest.len());
            (Word::Bare(rest[..length].to_owned()), length)
        };
        words.push((word, at..at + length));
        at += length;
    }
    Ok(words)
}

/// What stands in quotes at the start of a text, and how long it is with them; `None` where they do not end.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut inside = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => inside.push(letters.next()?.1),
            _ if letter == quote => return Some((inside, at + 1)),
            _ => inside.push(letter),
        }
    }
    None
}

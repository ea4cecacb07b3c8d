use std::ops::RangeInclusive;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use relata_schema::nearest;

use crate::ApiError;

/// The parameters of a query, in their order.
pub struct Parameters {
    pairs: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Query(pairs) = Query::try_from_uri(&parts.uri).map_err(|error| ApiError::bad_query("query", error.body_text()))?;
        Ok(Self { pairs })
    }
}

impl Parameters {
    /// # Errors
    /// When there is a parameter that is none of these.
    pub fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        match self.pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!("unknown parameter `{name}`, expected {}", listed(known));
                Err(ApiError::bad_query(name, message).suggesting(nearest(name, known.iter().copied())))
            }
        }
    }

    /// A parameter that may be left out.
    ///
    /// # Errors
    /// When it is given more than once.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let mut given = self.all(name);
        match (given.next(), given.next()) {
            (_, Some(_)) => Err(ApiError::bad_query(name, format!("{name}: found it more than once, expected it once"))),
            (only, None) => Ok(only),
        }
    }

    /// A whole number within `range`; `default` where it is left out.
    ///
    /// # Errors
    /// When it is no such number.
    pub fn number(&self, name: &str, range: RangeInclusive<usize>, default: usize) -> Result<usize, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(default) };
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let expected = match *range.end() {
                usize::MAX => format!("a whole number from {}", range.start()),
                end => format!("a whole number from {} to {end}", range.start()),
            };
            ApiError::bad_query(name, format!("{name}: found `{text}`, expected {expected}"))
        })
    }

    /// One of some words; the first where it is left out.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<T, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(choices[0].1) };
        choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            ApiError::bad_query(name, format!("{name}: found `{text}`, expected {}", listed(&words)))
                .suggesting(nearest(text, words))
        })
    }

    /// The words of a parameter that may be given more than once, and with several words separated by commas.
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.all(name).flat_map(|given| given.split(',')).map(str::trim).filter(|word| !word.is_empty()).collect()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// "`a`, `b` or `c`".
fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => "none".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        Parameters { pairs: pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect() }
    }

    #[test]
    fn numbers_stay_within_their_range() {
        let given = parameters(&[("limit", "7"), ("offset", "-1"), ("twice", "1"), ("twice", "1")]);
        assert_eq!(given.number("limit", 1..=10, 5), Ok(7));
        assert_eq!(given.number("absent", 1..=10, 5), Ok(5));
        let error = given.number("limit", 1..=6, 5).unwrap_err();
        assert_eq!(error.message, "limit: found `7`, expected a whole number from 1 to 6");
        assert_eq!(given.number("offset", 0..=usize::MAX, 0).unwrap_err().parameter.as_deref(), Some("offset"));
        assert!(given.number("twice", 0..=9, 0).is_err());
    }

    #[test]
    fn lists_are_repeated_or_separated_by_commas() {
        let given = parameters(&[("type", "gene, cell"), ("q", "x"), ("type", "tissue,")]);
        assert_eq!(given.list("type"), ["gene", "cell", "tissue"]);
    }

    #[test]
    fn a_misspelt_parameter_has_the_nearest_beside_it() {
        let error = parameters(&[("limt", "7")]).only(&["q", "limit"]).unwrap_err();
        assert_eq!((error.parameter.as_deref(), &error.suggestions[..]), (Some("limt"), &["limit".to_owned()][..]));
        assert_eq!(error.message, "unknown parameter `limt`, expected `q` or `limit`");
    }
}

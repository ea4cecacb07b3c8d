/// The names closest to `wanted`, best first: at most three, and only those that a slip of the
/// keyboard or another case explains (Damerau–Levenshtein, at most a third of the letters).
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let folded = wanted.to_lowercase();
    let allowed = 1 + wanted.chars().count() / 3;
    let mut close: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|name| name.chars().count().abs_diff(wanted.chars().count()) <= allowed)
        .map(|name| (strsim::damerau_levenshtein(&folded, &name.to_lowercase()), name))
        .filter(|&(distance, _)| distance <= allowed)
        .collect();
    close.sort();
    close.dedup();
    close.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The end of an error message: `; did you mean …?`, or nothing where no known name is near.
pub fn suggestion<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(wanted, known).as_slice() {
        [] => String::new(),
        names => format!("; did you mean {}?", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_best_first_and_far_ones_not_at_all() {
        assert_eq!(nearest("tisue", ["gene", "tissue", "issue"]), ["tissue", "issue"]);
        assert_eq!(nearest("Gene", ["gene", "cell"]), ["gene"]);
        assert!(nearest("donor", ["gene", "cell"]).is_empty());
        assert_eq!(suggestion("gnee", ["gene"]), "; did you mean `gene`?");
    }
}

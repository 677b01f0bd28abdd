//! Did you mean: the nearest of the names that would have been right.

/// The candidate nearest to what was written, if one is near enough to be meant.
pub(crate) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let low = fold(written);
    // In a short name every change makes another name.
    let allowed = match low.chars().count() {
        0..=2 => 0,
        length => (length / 3).clamp(1, 3),
    };
    let length = low.chars().count();
    candidates
        .into_iter()
        // So many letters more or less are so many changes; lower case may be longer than upper case.
        .filter(|it| !it.is_ascii() || it.len().abs_diff(length) <= allowed)
        .map(|candidate| (strsim::damerau_levenshtein(&low, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *candidate != written)
        .min_by_key(|(distance, candidate)| (*distance, *candidate))
        .map(|(_, candidate)| candidate)
}

/// Case and the kind of dash are slips of the hand.
fn fold(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["routes", "requires", "FINISH", "max_visits"];
        assert_eq!(nearest("route", names), Some("routes"));
        assert_eq!(nearest("finish", names), Some("FINISH"));
        assert_eq!(nearest("max-visits", names), Some("max_visits"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("d", ["a", "b"]), None);
    }
}

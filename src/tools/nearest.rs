//! What was probably meant by a name that nobody has.

/// The entry of `known` that `name` was probably meant to be: at most a third of it is different.
pub(crate) fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .iter()
        .map(|candidate| (edit_distance(&name, candidate), candidate))
        .filter(|(distance, candidate)| 3 * distance <= candidate.chars().count().max(3))
        .min()
        .map(|(_, candidate)| candidate.as_str())
}

/// Levenshtein's distance: insertions, deletions and replacements of one character.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, a) in left.chars().enumerate() {
        let mut diagonal = line;
        let mut beside = line + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(&right) {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = *cell;
            beside = replaced.min(beside + 1).min(diagonal + 1);
            *cell = beside;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("abc", ""), 3);
        assert_eq!(edit_distance("same", "same"), 0);
        assert_eq!(edit_distance("flaw", "lawn"), 2);
    }

    #[test]
    fn only_near_names_are_proposed() {
        let known = ["apptainer".to_owned(), "crun".to_owned(), "el8".to_owned()];
        assert_eq!(nearest("aptainer", &known), Some("apptainer"));
        assert_eq!(nearest("Crun", &known), Some("crun"));
        assert_eq!(nearest("el6", &known), Some("el8"));
        assert_eq!(nearest("docker", &known), None);
    }
}

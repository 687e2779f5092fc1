//! What a program understood of its configuration, in its own words.

use std::collections::BTreeMap;

/// The settings that the program's output lists: `NAME=VALUE    # from FILE`, where values that are no plain words stand in
/// quotes.
pub(super) fn settings(output: &str) -> BTreeMap<String, String> {
    let setting = |line: &str| {
        let (line, _) = line.rsplit_once("    # from ")?;
        let (name, value) = line.split_once('=')?;
        let within = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
        let value = within.map_or_else(|| value.to_owned(), |value| value.replace("\\'", "'"));
        Some((name.to_owned(), value))
    };
    output.lines().filter_map(setting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read() {
        let said = settings(
            "# parameters:\nA=b    # from /run/x\nB='a b;c'    # from x\nC=''    # from x\nD='it\\'s'    # from x\nbroken\n",
        );
        let get = |name: &str| said.get(name).map(String::as_str);
        assert_eq!((get("A"), get("B"), get("C")), (Some("b"), Some("a b;c"), Some("")));
        assert_eq!((get("D"), get("broken")), (Some("it's"), None));
    }
}

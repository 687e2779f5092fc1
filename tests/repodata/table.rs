//! `docs/repository-metadata.md`: each row names a test, and each of these is there.

use std::fs;
use std::path::Path;

/// What stands between single backquotes, in turn with what does not.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn each_row_names_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/repository-metadata.md")).unwrap();
    let is_head = |line: &&str| !line.ends_with("| test |") && !line.starts_with("|---");
    let mut rows = 0;
    for row in page.lines().filter(|line| line.starts_with('|')).filter(is_head) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let mut tests = quoted(cells.last().unwrap()).peekable();
        assert!(tests.peek().is_some(), "no test: {row}");
        for test in tests {
            let (place, name) = test.split_once("::").unwrap_or((test, ""));
            let is_file = place.contains('/');
            let file =
                if is_file { place.to_owned() } else { format!("tests/repodata/{place}.rs") };
            let text =
                fs::read_to_string(root.join(&file)).unwrap_or_else(|_| panic!("{file}: {row}"));
            assert!(name.is_empty() || text.contains(&format!("fn {name}(")), "{test}: {row}");
        }
        rows += 1;
    }
    assert!(rows > 40, "{rows} rows");
}

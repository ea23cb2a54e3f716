//! The points in the code are those of the table, and the program that is released has none of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names in `crash!("...")` and `bug!("...")` under a folder.
fn names_in_code(folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("the sources are there").path();
        if path.is_dir() {
            names_in_code(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("the sources can be read");
            for start in ["crash!(\"", "bug!(\""] {
                names.extend(quoted_after(start, &text));
            }
        }
    }
}

/// What stands in quotes after each call of a macro; `debug!` is not `bug!`.
fn quoted_after<'a>(start: &'a str, text: &'a str) -> impl Iterator<Item = String> + 'a {
    text.match_indices(start).filter_map(move |(at, _)| {
        let part_of_a_longer_name =
            text[..at].ends_with(|before: char| before.is_ascii_alphanumeric() || before == '_');
        let (name, _) = text[at + start.len()..].split_once('"')?;
        (!part_of_a_longer_name).then(|| name.to_owned())
    })
}

/// The names in a table of points.
fn names_in_table(registry: &Path) -> Vec<String> {
    let text = fs::read_to_string(registry).expect("the table is there");
    let quoted = text.split('"').skip(1).step_by(2);
    quoted.filter(|text| is_name(text)).map(str::to_owned).collect()
}

fn is_name(text: &str) -> bool {
    let rest = text.strip_prefix("crash::").or_else(|| text.strip_prefix("bug::"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}

#[test]
fn each_point_of_the_table_stands_in_the_code_and_no_other_does() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for package in [here.to_owned(), here.join("../router")] {
        let table = names_in_table(&package.join("src/faults/registry.rs"));
        let mut code = Vec::new();
        names_in_code(&package.join("src"), &mut code);
        let (names, used): (BTreeSet<_>, BTreeSet<_>) = (table.iter().collect(), code.iter().collect());
        assert_eq!(names.len(), table.len(), "a point is in the table twice: {table:?}");
        assert_eq!(names, used, "{}", package.display());
    }
}

/// The lines and points of ARCHITECTURE.md's table of crashes, without the line that has no point.
fn documented() -> BTreeSet<(String, String)> {
    let text = include_str!("../../../ARCHITECTURE.md");
    let (_, table) = text.split_once("| crash after |").expect("the table is there");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let with_points = cells.filter(|cells| !cells[4].starts_with("no point"));
    let of_row = with_points.flat_map(|cells| {
        let points = cells[4].split(", ").map(|point| format!("crash::{}", point.trim_matches('`')));
        points.map(|point| (cells[1].to_owned(), point)).collect::<Vec<_>>()
    });
    of_row.collect()
}

#[test]
fn each_line_of_the_documented_table_has_its_points() {
    let registry = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/faults/registry.rs");
    let text = fs::read_to_string(registry).expect("the table is there");
    let at_lines = text.split("    at_line(").skip(1).map(|point| {
        let mut quoted = point.split('"').skip(1).step_by(2);
        let (name, line) = (quoted.next().expect("a name"), quoted.next().expect("a line"));
        (line.to_owned(), name.to_owned())
    });
    let registered: BTreeSet<_> = at_lines.collect();
    assert_eq!(documented(), registered);
}

/// Not when the tests are built with the feature: then the program is not the one that is released.
#[cfg(not(feature = "faults"))]
#[test]
fn ordinary_program_has_no_point() {
    let program = fs::read(env!("CARGO_BIN_EXE_shard-node")).expect("the program is built");
    let program = String::from_utf8_lossy(&program);
    assert!(program.contains("/healthz"), "the search finds what is there");
    let registry = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/faults/registry.rs");
    for text in names_in_table(&registry).iter().map(String::as_str).chain(["crash::", "FAILPOINTS", "/faults"]) {
        assert!(!program.contains(text), "{text} is in the ordinary program");
    }
}

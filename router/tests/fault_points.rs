//! The program that is released has no crash point and no planted bug.

// When the tests are built with the feature, the program is not the one that is released.
#![cfg(not(feature = "faults"))]

use std::path::Path;

/// The names of all points, as the table of the feature has them.
fn names_in_table() -> Vec<String> {
    let registry = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/faults/registry.rs");
    let text = std::fs::read_to_string(registry).expect("the table is there");
    let quoted = text.split('"').skip(1).step_by(2);
    quoted.filter(|text| text.starts_with("crash::") || text.starts_with("bug::")).map(str::to_owned).collect()
}

#[test]
fn ordinary_program_has_no_point() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_router")).expect("the program is built");
    let program = String::from_utf8_lossy(&program);
    assert!(program.contains("/healthz"), "the search finds what is there");
    let names = names_in_table();
    assert!(names.iter().any(|name| name.starts_with("bug::")), "the table has planted bugs");
    for text in names.iter().map(String::as_str).chain(["crash::", "FAILPOINTS", "/faults"]) {
        assert!(!program.contains(text), "{text} is in the ordinary program");
    }
}

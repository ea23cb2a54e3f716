//! The program that is released has no crash point and no planted bug.

/// Not when the tests are built with the feature: then the program is not the one that is released.
#[cfg(not(feature = "faults"))]
#[test]
fn ordinary_program_has_no_point() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_router")).expect("the program is built");
    let program = String::from_utf8_lossy(&program);
    assert!(program.contains("/healthz"), "the search finds what is there");
    for text in ["crash::", "bug::answer", "FAILPOINTS", "/faults"] {
        assert!(!program.contains(text), "{text} is in the ordinary program");
    }
}

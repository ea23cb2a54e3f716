//! A migration that is added must be embedded at the next build.

fn main() {
    println!("cargo::rerun-if-changed=sql");
}

//! Prints what happens to pods.
fn main() {}

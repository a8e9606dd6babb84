//! The behaviours of a node agent, on the process runtime: real processes, no isolation.
//!
//! This program is three: the tests, the shim of the containers that they start, and what runs in
//! some of those containers.

mod assembly;
mod door;
mod fixture;
mod node;
mod pod;
mod rows;
mod script;
mod suite;
mod table;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    fixture::main_if_asked();
    kubewright_process_runtime::shim::main_if_asked();
    suite::run(suite::Kind::Process)
}

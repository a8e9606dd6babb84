//! The behaviours of a node agent, on a containerd of their own.
//!
//! It needs root and containerd, and is skipped loudly without; see the crate
//! `kubewright-containerd`.

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

use kubewright_containerd::Requirements;

fn main() -> ExitCode {
    fixture::main_if_asked();
    if !Requirements::are_asked_for() {
        return ExitCode::SUCCESS;
    }
    suite::run(suite::Kind::Containerd)
}

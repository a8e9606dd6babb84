//! Compiles the definitions of CRI v1 into Rust, in Rust: no `protoc` is needed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let definitions = protox::compile(["service.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        // Sockets are this crate's business, not that of generated code.
        .build_transport(false)
        // What is sent and printed is in the same order at every run.
        .btree_map(".")
        // What may hold secrets has a `Debug` of its own.
        .skip_debug(["runtime.v1.AuthConfig", "runtime.v1.KeyValue"])
        .compile_fds(definitions)?;
    Ok(())
}

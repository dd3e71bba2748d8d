//! The edge as a process of its own.

use std::process::ExitCode;

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    vx11_chassis::process::run(vx11_tentaculo::NAME, vx11_tentaculo::serve)
}

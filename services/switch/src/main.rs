//! The gateway as a process of its own.

use std::process::ExitCode;

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    vx11_chassis::process::run("switch", vx11_switch::serve)
}

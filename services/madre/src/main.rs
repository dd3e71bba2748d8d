//! madre as a process of its own, where starting and stopping services is a dry run.

use std::process::ExitCode;
use std::sync::Arc;

use vx11_madre::DryRunDriver;

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    vx11_chassis::process::run("madre", |start| vx11_madre::serve(start, Arc::new(DryRunDriver)))
}

//! The gateway as a process of its own.

use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => vx11_chassis::process::run("switch", vx11_switch::serve),
        Some("check-config") => done(check_config()),
        Some(other) => done(Err(anyhow::anyhow!("there is no command `{other}`, only `check-config`"))),
    }
}

fn check_config() -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{}", vx11_switch::check_config()?)?)
}

fn done(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            vx11_chassis::process::complain("switch", &error);
            ExitCode::FAILURE
        }
    }
}

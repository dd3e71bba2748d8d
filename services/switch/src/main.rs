//! The gateway as a process of its own.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => vx11_chassis::process::run("switch", vx11_switch::serve),
        ["check-config"] => done(check_config(None)),
        ["check-config", file] if !file.starts_with('-') => done(check_config(Some(Path::new(file)))),
        _ => {
            done(Err(anyhow::anyhow!("usage: switch, or switch check-config [FILE]; everything else is configuration")))
        }
    }
}

fn check_config(file: Option<&Path>) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{}", vx11_switch::check_config(file)?)?)
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

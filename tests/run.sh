#!/usr/bin/env bash
# Everything that must hold before a change lands.
set -euo pipefail
cd "$(dirname "$0")/.."

need() { # command, how to get it
  command -v "$1" >/dev/null || { echo "$1 is missing: $2"; exit 1; }
}
step() { printf '\n== %s\n' "$1"; }

need cargo "install Rust from https://rustup.rs"
need cc "install gcc or clang (Debian: apt-get install gcc)"
need python3 "install Python 3.10 or newer with venv (Debian: apt-get install python3-venv)"

step "real servers and clients that the tests use"
tests/prepare.sh

step "format"
cargo fmt --all -- --check

step "lints"
cargo clippy --locked --workspace --all-targets --quiet -- --deny warnings

# The targets call functions that the tests below compile and call too. To compile the targets themselves would build every
# dependency once more, for `--cfg fuzzing`: minutes. What does get lost unseen is a dependency in their lock file.
step "lock file of the fuzz targets"
cargo update --locked --workspace --quiet --manifest-path fuzz/Cargo.toml

step "programs"
cargo build --locked --workspace --bins

step "tests"
cargo test --locked --workspace

step "documentation"
RUSTDOCFLAGS="--deny warnings" cargo doc --locked --workspace --no-deps --document-private-items --quiet

#!/usr/bin/env bash
# Makes the profile that `make dist` builds by: the programs with counters, under the load of `bench train`, and what they
# counted in one file.
set -euo pipefail
cd "$(dirname "$0")/../.."

profdata=$(command -v llvm-profdata || compgen -c llvm-profdata- | sort -V | tail -n 1)
[ -n "$profdata" ] || { echo "llvm-profdata is missing (Debian: apt-get install llvm-19)"; exit 1; }

target=${CARGO_TARGET_DIR:-$PWD/target}
counted=$target/profraw
rm -rf "$counted"

RUSTFLAGS="-Cprofile-generate=$counted" cargo build --profile dist --locked --workspace --bins
"$target/dist/bench" 5 1 train
"$profdata" merge --sparse --output deploy/pgo/vx11.profdata "$counted"/*.profraw
ls -l deploy/pgo/vx11.profdata

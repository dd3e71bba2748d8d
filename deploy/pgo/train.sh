#!/usr/bin/env bash
# Makes the profile that `make dist` builds by: all services in one program with counters, under the load of `bench train`,
# and what they counted in one file. The program has the libraries and the features of all others, so the profile fits them.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The newest there is: one of an older LLVM cannot read what the compiler's counts.
profdata=$(compgen -c llvm-profdata | sort -uV | tail -n 1)
[ -n "$profdata" ] || { echo "llvm-profdata is missing (Debian: apt-get install llvm-19)"; exit 1; }

target=${CARGO_TARGET_DIR:-$PWD/target}
counted=$target/profraw

cargo build --profile dist --locked --bin bench
RUSTFLAGS="-Cprofile-generate=$counted" cargo build --profile dist --locked --bin vx11
# What ran during the build has counted, too: macros and build scripts.
rm -rf "$counted"
"$target/dist/bench" 5 1 train
"$profdata" merge --sparse --output deploy/pgo/vx11.profdata "$counted"/*.profraw
ls -l deploy/pgo/vx11.profdata

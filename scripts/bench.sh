#!/usr/bin/env bash
# Prints every performance bound with its figure, on optimised programs, and fails if one is missed. It wants a quiet
# machine and some three quarters of an hour. Arguments go to xr-bounds: --result DIR reads a result that is there, --only kills,join
# measures parts, --json is for programs.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --release --workspace --bins
# xr-bounds reads what this measures from target/criterion.
cargo bench --locked -p stamp --benches >&2
if [[ " $* " != *" --only"* ]]; then
    # It prints its own table, and a bound that is missed there fails this too.
    cargo run --locked --release --quiet -p testbed --example wan_lateness >&2
fi
exec "${CARGO_TARGET_DIR:-target}/release/xr-bounds" "$@"

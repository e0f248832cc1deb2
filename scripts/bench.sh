#!/usr/bin/env bash
# Prints every performance bound with its figure, on optimised programs, and fails if one is missed. It wants a quiet
# machine and twenty minutes. Arguments go to xr-bench: --result DIR reads a result that is there, --only kills,join
# measures parts, --json is for programs.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --release --workspace --bins
# xr-bench reads what this measures from target/criterion.
cargo bench --locked -p stamp --benches >&2
exec "${CARGO_TARGET_DIR:-target}/release/xr-bench" "$@"

#!/usr/bin/env bash
# Fuzzes every target for a minute each, or for as many seconds as the first argument says.
set -euo pipefail
cd "$(dirname "$0")/.."
for target in fuzz/fuzz_targets/*.rs; do
    fuzz/run "$(basename "$target" .rs)" "${1:-60}"
done

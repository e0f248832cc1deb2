#!/usr/bin/env bash
# Runs failed tests of whole processes again, alone: second-look.sh LOG, with what `make test` printed.
# It fails where anything else has failed, where more than three have, and where one fails again.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$1

# What cargo says at the end: `-p e2e --test it` for each binary with a failed test.
binaries=$(sed -n '/^error: [0-9]* targets\? failed:$/,$ s/^    `\(.*\)`$/\1/p' "$log" | sort -u)
# The last list of a binary's failures names them alone.
mapfile -t failed < <(awk '
    /^failures:$/ { listing = 1; count = 0; next }
    listing && /^    [a-z_0-9:]+$/ { names[count++] = $1; next }
    listing && /^test result: FAILED/ { for (i = 0; i < count; i++) print names[i]; listing = 0; next }
    listing && NF { listing = 0 }
' "$log")

if [ "$binaries" != "-p e2e --test it" ] || [ "${#failed[@]}" -eq 0 ] || [ "${#failed[@]}" -gt 3 ]; then
    echo "second-look.sh: not for a second look: ${#failed[@]} failed (${failed[*]}), of: ${binaries:-no named binary}" >&2
    exit 1
fi
echo "== Failed beside other work, and run again alone: ${failed[*]}"
cargo test --locked --workspace --test it -- --exact "${failed[@]}"
echo "== Passed at the second look, so that the machine is what failed: ${failed[*]}"

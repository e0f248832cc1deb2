#!/usr/bin/env bash
# Runs failed tests again, alone: second-look.sh LOG, with what `make test` printed.
# Tests wait for sockets, threads and whole programs that show real video in real time, which a shared machine can hold up for seconds. A
# name that several packages have is run in each. Documentation and rules of the house (house::..), which no busy machine breaks, are not
# looked at again: with one of them, with more than three failed tests in all, or with a binary that failed without naming a test, this
# fails at once. It fails too where a test fails again.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$1

refuse() {
    echo "second-look.sh: not for a second look: $1" >&2
    exit 1
}

# A line for each failed test: its package, the binary's file, the test. Cargo names the file before a binary runs and its target when
# all are over, both in the same order. The last list of a binary's failures names its tests alone.
failed=$(awk '
    function fail(why) { print "? ? " why; exit }
    BEGIN { lists = ended = 0 }
    /^ +Running .* \(.*\)$/ { file = $NF; gsub(/[()]/, "", file); next }
    /^ +Doc-tests / { file = "documentation"; next }
    /^failures:$/ { listing = 1; count = 0; next }
    listing && /^    [A-Za-z0-9_:]+$/ { names[count++] = $1; next }
    listing && /^test result: FAILED/ {
        files[lists] = file
        counts[lists] = count
        for (i = 0; i < count; i++) tests[lists, i] = names[i]
        lists++
        listing = 0
        next
    }
    listing && NF { listing = 0 }
    /^error: [0-9]+ targets? failed:$/ { ending = 1; next }
    ending && /^    `.*`$/ { targets[ended++] = substr($0, 6, length($0) - 6) }
    END {
        if (!ended) fail("no failed binary is named")
        for (i = 0; i < ended; i++)
            if (targets[i] !~ /^-p [a-z0-9_-]+ --(lib|test [a-z0-9_-]+)$/) fail(targets[i])
        if (lists != ended) fail(ended " failed binaries, and " lists " lists of failed tests")
        for (i = 0; i < ended; i++) {
            split(targets[i], words, " ")
            if (!counts[i]) fail("what failed of " targets[i])
            for (j = 0; j < counts[i]; j++) print words[2], files[i], tests[i, j]
        }
    }
' "$log")

[[ $failed != "? ? "* ]] || refuse "${failed#"? ? "}"
! grep ' house::' <<<"$failed" || refuse "a rule of the house"
[ "$(wc -l <<<"$failed")" -le 3 ] || refuse "more than three failed tests: $failed"

echo "== Failed beside other work, and run again alone:"
echo "$failed"
said=$(mktemp)
mapfile -t names < <(cut -d ' ' -f 3 <<<"$failed" | sort -u)
cargo test --locked --workspace --tests -- --exact "${names[@]}" | tee "$said"
# A name that is no test's would pass, too.
passed=$(awk '/^test result: ok\. / { passed += $4 } END { print passed + 0 }' "$said")
[ "$passed" -ge "$(wc -l <<<"$failed")" ]
echo "== Passed at the second look, so that the machine is what failed:"
echo "$failed"

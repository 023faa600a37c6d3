#!/usr/bin/env bash
# Runs each fuzzer for FUZZ_SECONDS (default 60), or only those named.
#
#     tools/fuzz.sh [PARSER...]
#
# Starts from tests/fuzz/corpus/PARSER; what it learns stays in build/fuzz/learnt/PARSER. An input
# that fails is left in build/fuzz/found and belongs into the corpus together with its fix.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-60}
parsers=()
for source in tests/fuzz/*/fuzz_*.c; do
    parser=$(basename "$source" .c)
    parser=${parser#fuzz_}
    [ $# -gt 0 ] && [[ " $* " != *" $parser "* ]] || parsers+=("$parser")
done
[ ${#parsers[@]} -gt 0 ] || {
    echo "no such fuzzer: $*" >&2
    exit 2
}

tools/build.sh fuzz -- "${parsers[@]/#/fuzz_}"
mkdir -p build/fuzz/found
for parser in "${parsers[@]}"; do
    learnt=build/fuzz/learnt/$parser
    mkdir -p "$learnt"
    echo "fuzzing $parser for $seconds s"
    log=build/fuzz/$parser.log
    if ! "build/fuzz/tests/fuzz_$parser" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="build/fuzz/found/$parser-" \
        "$learnt" "tests/fuzz/corpus/$parser" >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        echo "fuzzing $parser failed; the input is in build/fuzz/found" >&2
        exit 1
    fi
    grep -E 'number_of_executed_units|new_units_added' "$log"
done

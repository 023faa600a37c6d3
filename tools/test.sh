#!/usr/bin/env bash
# Every test there is, in rising order of cost; stops for nothing, names what failed at the end and
# closes with the summary line of each runner.
#
#     tools/test.sh [STAGE...]      default: all, in this order:
#
#     unit        unit tests and corpus replay, debug build
#     e2e         end to end, release build
#     asan-unit   unit tests and corpus replay, AddressSanitizer and UBSan
#     asan-e2e    end to end under them, with smaller numbers
#     tsan-unit   unit tests under ThreadSanitizer
#     tsan-e2e    the end-to-end tests that are marked tsan
#
# Logs: build/test-logs/. Arguments for pytest: PYTEST_ARGS.
set -uo pipefail
cd "$(dirname "$0")/.."

stages=("$@")
[ $# -gt 0 ] || stages=(unit e2e asan-unit asan-e2e tsan-unit tsan-e2e)
logs=build/test-logs
mkdir -p "$logs"

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-second_deadlock_stack=1}

unit() # PRESET
{
    tools/build.sh "$1" || return 1
    ctest --test-dir "build/$1" --output-on-failure -j "$(nproc)"
}

e2e() # PRESET [PYTEST ARGUMENTS]
{
    # The clients and tools of the tests are never instrumented: they come from the debug build.
    tools/build.sh dev -- idle_client failing_calls || return 1
    tools/build.sh "$1" -- sallyport || return 1
    SALLYPORT_BIN=build/$1/sallyport /usr/bin/python3 -m pytest tests/e2e "${@:2}" \
        ${PYTEST_ARGS:-}
}

run_stage()
{
    case "$1" in
    unit) unit dev ;;
    e2e) e2e release ;;
    asan-unit) unit asan ;;
    asan-e2e) E2E_SCALE=0.2 E2E_SLOWDOWN=4 e2e asan -m "not whole_process" ;;
    tsan-unit) unit tsan ;;
    tsan-e2e) E2E_SCALE=0.2 E2E_SLOWDOWN=8 e2e tsan -m "tsan and not whole_process" ;;
    *)
        echo "tools/test.sh: no stage \"$1\"" >&2
        exit 2
        ;;
    esac
}

failed=()
for stage in "${stages[@]}"; do
    echo "== $stage"
    SECONDS=0
    if run_stage "$stage" 2>&1 | tee "$logs/$stage.log"; then
        echo "== $stage: ok, $SECONDS s"
    else
        echo "== $stage: FAILED, $SECONDS s"
        failed+=("$stage")
    fi
done

echo
for stage in "${stages[@]}"; do
    # "100% tests passed, 0 tests failed out of 61"; "==== 120 passed, 1 skipped in 200.10s ===="
    echo "$stage:"
    grep -E 'tests passed, |^=+ .*(passed|failed|error|no tests ran).* in ' "$logs/$stage.log" |
        tail -n 1
done
[ ${#failed[@]} -eq 0 ] || {
    echo "failed: ${failed[*]}" >&2
    exit 1
}

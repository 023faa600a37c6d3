#!/usr/bin/env bash
# What a reader should not have to check: format, layers, both compilers, documents, cppcheck,
# clang-tidy, in rising order of cost. Runs every check and names those that failed at the end.
#
#     tools/check.sh [format|layers|scripts|compilers|docs|cppcheck|tidy ...]      default: all
#
# JOBS (default: cores) programs run at a time.
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=${JOBS:-$(nproc)}
mapfile -t sources < <(git ls-files --cached --others --exclude-standard 'src/*.c' | sort)
mapfile -t tests < <(git ls-files --cached --others --exclude-standard 'tests/*.c' | sort)
mapfile -t headers < <(git ls-files --cached --others --exclude-standard \
    'src/*.h' 'include/*.h' 'tests/*.h' | sort)

check_format()
{
    local unformatted
    unformatted=$(printf '%s\n' "${sources[@]}" "${tests[@]}" "${headers[@]}" |
        xargs -P "$jobs" -n 16 clang-format --dry-run 2>&1 |
        sed -n 's/^\([^ :]*\):[0-9]*:[0-9]*: warning: .*clang-format-violations.*/\1/p' | sort -u)
    [ -z "$unformatted" ] || {
        echo "clang-format -i" $unformatted >&2
        return 1
    }
}

check_layers()
{
    tools/check-layers.sh
}

check_scripts()
{
    local script bad=0
    while IFS= read -r script; do
        bash -n "$script" || bad=1
    done < <(git ls-files --cached --others --exclude-standard '*.sh' .ci/run)
    git ls-files --cached --others --exclude-standard -z '*.py' |
        xargs -0 -r /usr/bin/python3 -W error -c '
import ast, sys
for path in sys.argv[1:]:
    ast.parse(open(path).read(), path)' || bad=1
    return $bad
}

# build/dev-clang is also what clang-tidy reads: gcc's flags would be errors to it.
check_compilers()
{
    tools/build.sh dev || return 1
    [ -f build/dev-clang/build.ninja ] ||
        CC=clang cmake --preset dev -B build/dev-clang >/dev/null || return 1
    cmake --build build/dev-clang -j "$jobs" >build/dev-clang/build.log 2>&1 || {
        grep -v '^\[' build/dev-clang/build.log >&2
        return 1
    }
}

# After the compilers: the program that they made is asked.
check_docs()
{
    tools/check-docs.sh
}

check_cppcheck()
{
    local includes=(-Iinclude -Ibuild/dev/generated -Itests/support)
    includes+=($(printf -- '-I%s ' src/*/))
    # cmocka's and the tests' own macros are read as functions: no matter to these checks.
    cppcheck --quiet --error-exitcode=1 -j "$jobs" --std=c11 --inline-suppr \
        --enable=warning,performance,portability \
        --library=posix --library=gnu --library=openssl --library=tools/cppcheck.cfg \
        -D_GNU_SOURCE "${includes[@]}" "${sources[@]}" "${tests[@]}"
}

check_tidy()
{
    # What a test does is simple and often wrong on purpose: tests/.clang-tidy asks less.
    # "N warnings generated" counts those in system headers, which nobody can mend here.
    printf '%s\n' "${sources[@]}" "${tests[@]}" |
        xargs -P "$jobs" -n 2 clang-tidy -p build/dev-clang --quiet \
            2> >(grep -vE '^[0-9]+ warnings?( and [0-9]+ errors?)? generated\.$' >&2)
}

checks=("$@")
[ $# -gt 0 ] || checks=(format layers scripts compilers docs cppcheck tidy)
failed=()
for check in "${checks[@]}"; do
    declare -F "check_$check" >/dev/null || {
        echo "tools/check.sh: no check \"$check\"" >&2
        exit 2
    }
    SECONDS=0
    if "check_$check"; then
        echo "ok      $check (${SECONDS} s)"
    else
        echo "FAILED  $check (${SECONDS} s)"
        failed+=("$check")
    fi
done
[ ${#failed[@]} -eq 0 ] || {
    echo "lint: failed: ${failed[*]}" >&2
    exit 1
}

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
# What is new and not yet added counts too.
files()
{
    git ls-files --cached --others --exclude-standard "$@" | sort
}
mapfile -t sources < <(files 'src/*.c' 'bench/*.c' 'tests/*.c')
mapfile -t headers < <(files 'src/*.h' 'include/*.h' 'bench/*.h' 'tests/*.h')

check_format()
{
    local unformatted
    unformatted=$(clang-format --dry-run "${sources[@]}" "${headers[@]}" 2>&1 |
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
    done < <(files '*.sh' .ci/run)
    files '*.py' bench/run | xargs -r /usr/bin/python3 -c '
import ast, sys
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as source:
        ast.parse(source.read(), path)' || bad=1
    return $bad
}

# build/dev-clang is also what clang-tidy reads: gcc's flags would be errors to it.
check_compilers()
{
    local bad=0
    if [ ! -f build/dev-clang/build.ninja ]; then
        CC=clang cmake --preset dev -B build/dev-clang -D SALLYPORT_BENCH=ON >/dev/null || return 1
    fi
    tools/build.sh dev || bad=1
    echo "building dev with clang"
    cmake --build build/dev-clang -j "$jobs" >build/dev-clang/build.log 2>&1 || {
        grep -v '^\[' build/dev-clang/build.log >&2
        bad=1
    }
    return $bad
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
    # Without "portability", which is about non-reentrant functions: clang-tidy asks that too, and the
    # source answers there. cmocka's assertions are functions to cppcheck: it doubts what they hold.
    # And it believes that accept4(2) and recv(2) with MSG_TRUNC (tcp(7)) take no null pointers.
    cppcheck --quiet --error-exitcode=1 -j "$jobs" --std=c11 --inline-suppr \
        --enable=warning,performance \
        --suppress='uninitvar:tests/*' --suppress='nullPointer:tests/*' \
        --suppress='nullPointer:bench/*' \
        --library=posix --library=gnu --library=openssl --library=tools/cppcheck.cfg \
        -D_GNU_SOURCE "${includes[@]}" "${sources[@]}"
}

# clang-tidy of one file; says something only with findings.
tidy_file()
{
    local said status=0
    said=$(clang-tidy -p build/dev-clang --quiet "$1" 2>&1) || status=$?
    if [ "$status" -gt 128 ]; then
        # The analyzer of version 14 crashes on some correct code: then the other checks alone.
        echo "note: clang-analyzer crashes on $1"
        status=0
        said=$(clang-tidy -p build/dev-clang --quiet --checks='-clang-analyzer-*' "$1" 2>&1) ||
            status=$?
    fi
    [ "$status" -eq 0 ] || echo "$said"
    return "$status"
}

check_tidy()
{
    # What a test does is simple and often wrong on purpose: tests/.clang-tidy asks less. One file at
    # a time: version 14 loses track of va_list in a second one.
    export -f tidy_file
    printf '%s\n' "${sources[@]}" | xargs -P "$jobs" -I{} bash -c 'tidy_file {}'
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

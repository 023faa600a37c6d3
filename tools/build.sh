#!/usr/bin/env bash
# Configures (once) and builds CMake presets; says something only when it has to.
#
#     tools/build.sh PRESET... [-- TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."

presets=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    presets+=("$1")
    shift
done
[ $# -eq 0 ] || shift
targets=()
[ $# -eq 0 ] || targets=(--target "$@")

for preset in "${presets[@]}"; do
    mkdir -p "build/$preset"
    if [ ! -f "build/$preset/build.ninja" ]; then
        cmake --preset "$preset" >"build/$preset/configure.log" 2>&1 || {
            cat "build/$preset/configure.log" >&2
            exit 1
        }
    fi
    echo "building $preset"
    # Ninja's own status lines go to the log; a failure shows the compiler's words.
    cmake --build --preset "$preset" "${targets[@]}" >"build/$preset/build.log" 2>&1 || {
        grep -v '^\[' "build/$preset/build.log" >&2
        exit 1
    }
    if grep -q 'warning:' "build/$preset/build.log"; then
        grep -A5 'warning:' "build/$preset/build.log" >&2
    fi
done

#!/usr/bin/env bash
# Installs the Debian 12 packages that a job needs, and only those that are missing.
#
#     tools/setup.sh [build|run|test|lint|fuzz|soak|bench ...]      default: build
#
# Prints nothing and asks nobody when everything is there. Sets include what they stand on.
set -euo pipefail

build=(gcc libc6-dev cmake ninja-build pkg-config libssl-dev libjansson-dev libc-ares-dev
       libnghttp2-dev libmimalloc-dev libidn2-dev)
run=("${build[@]}" openssl curl)
test=("${run[@]}" libcmocka-dev python3-pytest python3-websockets python3-hpack python3-grpcio
      python3-jsonschema
      nghttp2-client nghttp2-server nginx-light chromium)
fuzz=("${build[@]}" libcmocka-dev clang libclang-rt-14-dev)
lint=("${fuzz[@]}" git clang-format clang-tidy cppcheck)
soak=("${test[@]}")
bench=("${run[@]}" nghttp2-client nginx-light haproxy hitch h2o trafficserver wrk)

wanted=()
for name in "${@:-build}"; do
    case "$name" in
    build) wanted+=("${build[@]}") ;;
    run) wanted+=("${run[@]}") ;;
    test) wanted+=("${test[@]}") ;;
    fuzz) wanted+=("${fuzz[@]}") ;;
    lint) wanted+=("${lint[@]}") ;;
    soak) wanted+=("${soak[@]}") ;;
    bench) wanted+=("${bench[@]}") ;;
    *)
        echo "usage: tools/setup.sh [build|run|test|lint|fuzz|soak|bench ...]" >&2
        exit 2
        ;;
    esac
done

installed()
{
    # A full nginx does what nginx-light does, and the two exclude each other.
    [ "$1" = nginx-light ] && [ -x /usr/sbin/nginx ] && return 0
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
for package in $(printf '%s\n' "${wanted[@]}" | sort -u); do
    installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing: ${missing[*]}"

# A package must not start a server here: the tests start their own. Debian asks policy-rc.d.
policy=/usr/sbin/policy-rc.d
made_policy=
cleanup()
{
    [ -z "$made_policy" ] || "${as_root[@]}" rm -f "$policy"
}
trap cleanup EXIT
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    made_policy=yes
fi

log=$(mktemp)
apt()
{
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 || {
        cat "$log" >&2
        echo "tools/setup.sh: apt-get $1 failed" >&2
        exit 1
    }
}
apt update
apt install --no-install-recommends "${missing[@]}"
rm -f "$log"

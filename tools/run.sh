#!/usr/bin/env bash
# A front door to try: a demo backend, and the proxy in front of it with conf/quickstart.json.
# Ctrl-C stops both. Nothing else is touched.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${SALLYPORT_BIN:-build/release/sallyport}
url=https://localhost:8443/
pids=()

stop()
{
    trap - EXIT INT TERM
    [ ${#pids[@]} -eq 0 ] || kill -TERM "${pids[@]}" 2>/dev/null || true
    wait
}
trap stop EXIT
trap 'exit 0' INT TERM

# answers NAME URL PID: waits until the address answers, or the process has ended. Another program's
# answer on the same port is none.
answers()
{
    local answered
    for _ in $(seq 100); do
        answered=no
        curl --silent --insecure --max-time 1 --output /dev/null "$2" && answered=yes
        if ! kill -0 "$3" 2>/dev/null; then
            echo "$1 did not start" >&2
            return 1
        fi
        [ "$answered" = no ] || return 0
        sleep 0.1
    done
    echo "$1 does not answer at $2" >&2
    return 1
}

certs/make-certs.sh

"$binary" origin --port 9001 &
pids+=($!)
answers "the demo backend" http://127.0.0.1:9001/ "${pids[0]}"
"$binary" run -c conf/quickstart.json &
pids+=($!)
answers "the proxy" "$url" "${pids[1]}"

cat <<TXT

    $url is open. In another terminal:

        curl --cacert certs/ca.crt $url

    A browser warns about the development certificate, once. Ctrl-C stops everything.

TXT
# Whichever ends first ends the other.
wait -n || true

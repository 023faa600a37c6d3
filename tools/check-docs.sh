#!/usr/bin/env bash
# Holds what is written down against what is there. Prints every difference as file: text; exit
# status 1 with any.
#
#     tools/check-docs.sh              check
#     tools/check-docs.sh --update     write the generated tables anew, then check
#
# Also written and checked: conf/sallyport.schema.json.
#
# Checked: functions named as file.c:function, paths, links and their anchors, the generated tables
# (between "<!-- table: NAME -->" and "<!-- end of table -->"), names of counters and labels in the
# manual, and every JSON configuration that is shown. The last and the table of keys need the program:
# SALLYPORT_BIN, or the newest of build/*/sallyport; without one they are left out, and that is said.
set -euo pipefail
cd "$(dirname "$0")/.."

update=
[ "${1:-}" != --update ] || update=yes
mapfile -t docs < <(git ls-files --cached --others --exclude-standard '*.md' | sort)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

offences=0
offence()
{
    echo "$1" >&2
    offences=$((offences + 1))
}

newest_binary()
{
    if [ -n "${SALLYPORT_BIN:-}" ]; then
        echo "$SALLYPORT_BIN"
    else
        ls -t build/*/sallyport 2>/dev/null | head -n 1 || true
    fi
}

# ---- Functions ----

# is_defined FILE NAME: at the left margin, and a body follows before any semicolon.
is_defined()
{
    awk -v name="$2" '
        !/^[[:space:]{}#\/*]/ && $0 ~ "(^|[^A-Za-z0-9_])" name "\\(" { open = 1 }
        /^[[:space:]]+[a-z_]+\(/ && before ~ /^[a-z]/ && before !~ /[;{}]$/ &&
            $0 ~ "^[[:space:]]+" name "\\(" { open = 1 }
        open && /^{/ { found = 1; exit }
        open && /;/ { open = 0 }
        { before = $0 }
        END { exit !found }' "$1"
}

check_functions()
{
    local doc named file name
    for doc in "${docs[@]}"; do
        while IFS= read -r named; do
            file=${named%%:*}
            name=${named#*:}
            if [ ! -f "$file" ]; then
                offence "$doc: no file $file"
            elif ! is_defined "$file" "$name"; then
                offence "$doc: $file does not define $name()"
            fi
        done < <(grep -ohE 'src/[a-z0-9_/]+\.c:[a-z0-9_]+' "$doc" | sort -u)
    done
}

# ---- Paths ----

# A path in `code`, from the top of the tree or from the document's folder. Placeholders, patterns
# and what is built or generated are another matter.
check_paths()
{
    local doc path
    for doc in "${docs[@]}"; do
        while IFS= read -r path; do
            [ ! -e "$path" ] && [ ! -e "$(dirname "$doc")/$path" ] || continue
            [[ $path != *[\*\<\>]* ]] || continue
            git check-ignore -q "$path" || offence "$doc: no $path"
        done < <(grep -ohE '`(src|include|tests|tools|conf|docs|certs|cmake|bench|\.ci)/[^` ]*`' "$doc" |
            sed 's/`//g; s/:.*//; s/[.,]$//' | sort -u)
    done
}

# A bare file name: there is such a file somewhere.
check_file_names()
{
    local doc name
    git ls-files --cached --others --exclude-standard | sed 's|.*/||' | sort -u >"$scratch/names"
    for doc in "${docs[@]}"; do
        while IFS= read -r name; do
            grep -qxF -- "$name" "$scratch/names" || offence "$doc: no file is called $name"
        done < <(grep -ohE '`[a-z][a-z0-9_-]*\.(c|h|sh|py)(:[a-z0-9_()]+)?`' "$doc" |
            sed 's/`//g; s/:.*//' | sort -u)
    done
}

# ---- Links ----

# What a heading is called in a link: letters, digits, blanks, "-" and "_" stay.
anchors_of()
{
    sed '/^```/,/^```/d' "$1" | grep -E '^#+ ' | sed -E 's/^#+ +//' | tr '[:upper:]' '[:lower:]' |
        sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'
}

check_links()
{
    local doc link file anchor
    for doc in "${docs[@]}"; do
        while IFS= read -r link; do
            [[ $link != *://* && $link != mailto:* ]] || continue
            file=${link%%#*}
            anchor=
            [[ $link != *#* ]] || anchor=${link#*#}
            if [ -z "$file" ]; then
                file=$doc
            else
                file=$(dirname "$doc")/$file
            fi
            if [ ! -e "$file" ]; then
                offence "$doc: the link to $link leads nowhere"
            elif [ -n "$anchor" ] && ! anchors_of "$file" | grep -qxF -- "$anchor"; then
                offence "$doc: no heading for the link to $link"
            fi
        done < <(sed '/^```/,/^```/d; s/`[^`]*`/`/g' "$doc" | grep -oE '\]\([^) ]+\)' |
            sed 's/^](//; s/)$//' | sort -u)
    done
}

# ---- Tables ----

# rows_of FILE: the X() rows of a header's table, fields separated by tabs, quotes taken off.
rows_of()
{
    sed -nE 's/^ *X\((.*)\) *\\?$/\1/p' "$1" |
        sed -E 's/, *"/\t/g; s/, *([0-9]+)/\t\1/; s/" *(\t|$)/\1/g'
}

table_config()
{
    [ -n "$binary" ] && "$binary" help config --markdown
}

table_control()
{
    [ -n "$binary" ] && "$binary" help control --markdown
}

table_help()
{
    [ -n "$binary" ] || return 1
    echo '```'
    echo '$ sallyport help'
    "$binary" help
    echo '```'
}

table_metrics() # MACRO NAME
{
    echo "| $2 | unit | |"
    echo "|---|---|---|"
    sed -n "/define $1(X)/,/^\$/p" include/sallyport/base/metrics_table.h >"$scratch/metrics"
    rows_of "$scratch/metrics" |
        awk -F '\t' '{ printf "| `%s` | %s | %s |\n", $1, $2, $3 }'
}

table_counters()
{
    table_metrics SP_COUNTERS counter
}

table_gauges()
{
    table_metrics SP_GAUGES gauge
}

table_histograms()
{
    table_metrics SP_HISTOGRAMS histogram
}

table_subjects()
{
    echo "| subject | speaks of |"
    echo "|---|---|"
    sed -n '/define LOG_SUBJECTS/,/^$/p' include/sallyport/base/log.h |
        sed -nE 's/^ *X\([A-Z]+, "([a-z]+)", "(.*)"\) *\\?$/| `\1` | \2 |/p'
}

# The table NAME as it stands in FILE, and FILE with TABLE in its place.
table_in()
{
    awk -v name="$1" '$0 == "<!-- end of table -->" { inside = 0 }
        inside { print }
        $0 == "<!-- table: " name " -->" { inside = 1 }' "$2"
}

put_table()
{
    awk -v name="$1" -v table="$3" '$0 == "<!-- end of table -->" { inside = 0 }
        !inside { print }
        $0 == "<!-- table: " name " -->" {
            inside = 1
            while ((getline line <table) > 0)
                print line
        }' "$2" >"$scratch/doc"
    cat "$scratch/doc" >"$2"
}

check_table() # NAME FILE
{
    "table_$1" >"$scratch/table" || return 0
    [ -z "$update" ] || put_table "$1" "$2" "$scratch/table"
    table_in "$1" "$2" >"$scratch/found"
    [ -s "$scratch/found" ] || offence "$2: no table \"$1\""
    diff -u --label "$2" --label "the source" "$scratch/found" "$scratch/table" >&2 ||
        offence "$2: table \"$1\" is not what the source says: tools/check-docs.sh --update"
}

# Tables written by hand: each row of the header has a line that begins "| `label` | status |", and
# nothing else has.
check_refusals()
{
    local doc=docs/manual/http.md
    rows_of include/sallyport/http/http_error.h |
        awk -F '\t' '$3 != "-" { printf "| `%s` | %s |\n", $3, $2 == 0 ? "-" : $2 }' |
        sort >"$scratch/wanted"
    grep -oE '^\| `[a-z_]+` \| ([0-9]{3}|-) \|' "$doc" | sort >"$scratch/found" || true
    diff -u --label "$doc" --label http_error.h "$scratch/found" "$scratch/wanted" >&2 ||
        offence "$doc: the refusals are not those of http_error.h"
}

# A default that stands in another page, "| `key` | `default` |", is the one that the key has.
check_defaults()
{
    local row key value
    while IFS= read -r row; do
        IFS='|' read -r _ key value <<<"$row"
        key=$(echo "$key" | tr -d ' ')
        value=$(echo "$value" | tr -d ' |')
        grep -qE "^\\| $key \\| .* \\| $value \\| " docs/manual/configuration.md ||
            offence "docs/manual/limits.md: the default of $key is not $value"
    done < <(grep -oE '^\| `[a-z_]+` \| `[^`]*` \|' docs/manual/limits.md)
}

# ---- Names ----

# A name in the manual that looks like a counter is one, or a label, a key or a field of the access
# log.
check_names()
{
    local doc name
    {
        rows_of include/sallyport/base/metrics_table.h | cut -f 1
        rows_of include/sallyport/http/http_error.h | cut -f 3
        rows_of include/sallyport/base/err.h | cut -f 2
        grep -ohE '\((INT|BOOL)\([a-z_0-9]+|"[a-z_0-9]+"' src/config/*_rows.c |
            sed -E 's/.*\(//; s/"//g'
        grep -ohE 'VIEW\("[a-z_0-9]+"' src/http/access_log.c | sed -E 's/.*\("//; s/"//'
    } | sort -u >"$scratch/known"
    for doc in README.md docs/manual/*.md; do
        while IFS= read -r name; do
            grep -qxF -- "$name" "$scratch/known" || offence "$doc: nothing is called $name"
        done < <(grep -ohE '`(event|net|tls|http|upstream|access_log|client|admin)_[a-z0-9_]+`' "$doc" |
            tr -d '`' | sort -u)
    done
}

# ---- Configurations ----

# Each ```json block of the documents, in files of its own.
split_json()
{
    awk -v stem="$2" '/^```json$/ { n++; inside = 1; next }
        /^```/ { inside = 0 }
        inside { print >(stem "-" n ".json") }' "$1"
}

# An excerpt is made whole: what it leaves out is there, so that it can be loaded.
make_whole()
{
    /usr/bin/python3 - "$1" <<'PY'
import json
import sys
text = open(sys.argv[1]).read().strip()
conf = json.loads(text if text.startswith("{") else "{" + text + "}")
conf.setdefault("ports", {"127.0.0.1:0": {"tls": False}})
for name in {b for p in conf["ports"].values() for b in p.get("bundles", [])}:
    pair = {"chain": "x.pem", "key": "x.key"}
    conf.setdefault("bundles", {}).setdefault(name, {"certs": [pair]})
conf.setdefault("routes", [{"respond": {}}])
for name in {r["backend"] for r in conf["routes"] if "backend" in r}:
    conf.setdefault("backends", {}).setdefault(name, {"servers": ["127.0.0.1:9001"]})
json.dump(conf, open(sys.argv[1], "w"), indent=1)
PY
}

# What editors complete and check configurations with.
check_schema()
{
    local schema=conf/sallyport.schema.json
    "$binary" config schema >"$scratch/schema"
    [ -z "$update" ] || cp "$scratch/schema" "$schema"
    diff -u --label "$schema" --label "the source" "$schema" "$scratch/schema" >&2 ||
        offence "$schema: not what the source says: tools/check-docs.sh --update"
}

check_configurations()
{
    local doc json
    for doc in README.md docs/manual/*.md; do
        rm -f "$scratch"/json-*
        split_json "$doc" "$scratch/json"
        for json in "$scratch"/json-*; do
            [ -e "$json" ] || continue
            if ! make_whole "$json" 2>"$scratch/why" ||
                ! "$binary" check --no-certificates "$json" >"$scratch/why" 2>&1; then
                cat "$scratch/why" >&2
                offence "$doc: JSON block ${json//[^0-9]/} is not a configuration"
            fi
        done
    done
    for json in conf/*.json conf/examples/*.json; do
        [ "$json" != conf/sallyport.schema.json ] || continue
        "$binary" check --no-certificates "$json" >"$scratch/why" 2>&1 || {
            cat "$scratch/why" >&2
            offence "$json: not a configuration"
        }
    done
}

binary=$(newest_binary)
[ -n "$binary" ] ||
    echo "tools/check-docs.sh: no program: the keys and the configurations are not checked" >&2
check_table config docs/manual/configuration.md
check_table control docs/manual/control.md
check_table help docs/manual/getting-started.md
check_table counters docs/manual/logs-and-metrics.md
check_table gauges docs/manual/logs-and-metrics.md
check_table histograms docs/manual/logs-and-metrics.md
check_table subjects docs/manual/logs-and-metrics.md
check_refusals
check_defaults
check_functions
check_paths
check_file_names
check_links
check_names
[ -z "$binary" ] || check_configurations
[ -z "$binary" ] || check_schema
[ "$offences" -eq 0 ]

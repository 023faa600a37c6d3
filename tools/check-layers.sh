#!/usr/bin/env bash
# Checks what stands in #include lines against the order of the layers, and a few words that must
# not stand in the source at all. Prints every offence as file:line: text; exit status 1 with any.
#
#     tools/check-layers.sh [FOLDER]      default: the tree it stands in
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

offences=0
offence()
{
    echo "$1" >&2
    offences=$((offences + 1))
}

# What a layer may include of the others; itself always. config's headers are plain data.
declare -A may=(
    [base]="base"
    [config]="base config"
    [event]="base event"
    [net]="base config event net"
    [tls]="base config event net tls"
    [http]="base config event net http"
    [app]="base config event net tls http app"
    [cli]="base config event net tls http app cli"
    [main]="base config cli"
)
# Libraries at home: pattern of the header, then the files that may include it.
homes=(
    '<openssl/      ^src/tls/'
    '<jansson\.h>   ^src/config/|^src/cli/'
    '<nghttp2/      ^src/http/http2'
    '<ares          ^src/net/net_dns'
    '<idn2          ^src/app/idn'
)

layer_of()
{
    case "$1" in
    src/main.c) echo main ;;
    src/*/*) echo "$1" | cut -d/ -f2 ;;
    include/sallyport/*/*) echo "$1" | cut -d/ -f3 ;;
    esac
}

check_layer_include() # file line header
{
    local from to
    from=$(layer_of "$1")
    to=${3#sallyport/}
    to=${to%%/*}
    [ -n "${may[$from]:-}" ] || {
        offence "$1:$2: \"$from\" is no layer"
        return
    }
    [[ " ${may[$from]} " == *" $to "* ]] ||
        offence "$1:$2: $from may not include <$3>"
}

check_library_include() # file line text
{
    local home pattern files
    for home in "${homes[@]}"; do
        read -r pattern files <<<"$home"
        if [[ $3 =~ $pattern ]] && ! [[ $1 =~ $files ]]; then
            offence "$1:$2: this library is not at home here: $3"
        fi
    done
}

while IFS=: read -r file line text; do
    if [[ $text =~ \<(sallyport/[^\>]+)\> ]]; then
        check_layer_include "$file" "$line" "${BASH_REMATCH[1]}"
    elif [ "$file" = src/main.c ] && [[ $text =~ \"(cli/[^\"]*)\" ]]; then
        continue # the one file that stands outside the folder that it belongs to
    elif [[ $text =~ \"([^\"]*/[^\"]*)\" ]]; then
        # "x.h" is the family's own header; a path would reach into another folder.
        offence "$file:$line: a quoted include names a path: ${BASH_REMATCH[1]}"
    else
        check_library_include "$file" "$line" "$text"
    fi
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include' --include='*.[ch]' src include)

# A quoted header must be in the folder of the file that names it.
while IFS=: read -r file line text; do
    [[ $text =~ \"([^\"/]*)\" ]] || continue
    [ -f "$(dirname "$file")/${BASH_REMATCH[1]}" ] ||
        offence "$file:$line: ${BASH_REMATCH[1]} is not in this folder"
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.[ch]' src include)

# Unbounded, locale-bound or without error reporting: each has a safe counterpart.
banned='\b(strcpy|strcat|sprintf|vsprintf|strncpy|strncat|strtok|atoi|atol|atoll|atof|gets|alloca|rand|srand|signal)[[:space:]]*\('
while IFS= read -r hit; do
    offence "$hit (banned function)"
done < <(grep -rnE "$banned" --include='*.[ch]' src include |
    grep -vE ':[0-9]+:[[:space:]]*(\*|/\*|//)' || true)

while IFS= read -r hit; do
    offence "$hit (unfinished work has an issue, not a mark in the source)"
done < <(grep -rnE '\b(TODO|FIXME|XXX|HACK)\b' --include='*.[ch]' --include='*.py' \
    --include=CMakeLists.txt src include tests || true)

key_mark='BEGIN ([A-Z]+ )?PRIVATE KEY'
while IFS= read -r hit; do
    offence "$hit: a private key is committed"
done < <(git grep -lE -e "-----$key_mark" 2>/dev/null || true)

[ "$offences" -eq 0 ]

#!/bin/sh
# Lists and downloads what a mirror has. Needs curl, sha256sum and awk; runs in any POSIX shell, busybox's too.
#
#   sh get.sh list [WORD]                 names of repos
#   sh get.sh pull REPO[@revision] DIR    the files of a repo, each proved by its SHA-256, into DIR
#
# REPO is org/name for a model, else dataset:org/name, space:org/name or kernel:org/name, as `list` names it.
#
# HF_TOKEN is sent to the mirror, where it is set. MIRROR is another address than the one below.
# A pull that was stopped goes on where it was. Nothing is written outside of DIR, and what else lies there stays.
# Exit codes: 0 done, 1 a file is wrong or cannot be written, 2 bad usage, 3 refused, 4 not there, 5 no answer.
set -u
umask 022
LC_ALL=C
export LC_ALL

MIRROR=${MIRROR:-'@MIRROR@'}

say() { printf 'get.sh: %s' "$*" | tr -d '\000-\037\177' >&2 && echo >&2; }
die() {
    code=$1
    shift
    say "$@"
    exit "$code"
}
usage() { die 2 'usage: sh get.sh list [WORD] | sh get.sh pull [KIND:]org/name[@revision] DIR'; }

# Percent-encodes $1.
encode() {
    TEXT=$1 awk 'BEGIN {
        for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i
        text = ENVIRON["TEXT"]
        for (i = 1; i <= length(text); i++) {
            c = substr(text, i, 1)
            if (c ~ /[A-Za-z0-9._~-]/) printf "%s", c
            else printf "%%%02X", code[c]
        }
    }'
}

# What the mirror said of itself in the last answer, without what could rule a terminal.
header() { sed -n "s/^$1: *//p" "$work/head" | tail -n 1 | tr -d '\000-\037\177-\377' | cut -c 1-500; }

# fetch PATH FILE [BYTES]: GET into FILE, on from BYTES that are there. Tries again what may pass; returns 9 where the
# bytes that are there are no beginning of it.
fetch() {
    try=0
    while :; do
        try=$((try + 1))
        : >"$work/head"
        set -- "$1" "$2" "${3-0}"
        status=$(
            { [ -z "${HF_TOKEN-}" ] || printf 'header = "Authorization: Bearer %s"\n' "$HF_TOKEN"; } |
                curl --config - --silent --location --max-redirs 5 --proto '=http,https' --proto-redir '=http,https' \
                    --fail --globoff --connect-timeout 20 --speed-limit 1 --speed-time 60 --dump-header "$work/head" \
                    --output "$2" --write-out '%{http_code}' ${3:+--continue-at "$3"} -- "$MIRROR$1"
        )
        ended=$?
        status=${status:-000}
        [ "$ended" -eq 0 ] && return 0
        why=$(header '[Xx]-[Ee]rror-[Mm]essage')
        case $ended.$status in
            *.401) die 3 "401: a token is wanted, or another one (HF_TOKEN): $why" ;;
            *.403) die 3 "403: not for you: $why" ;;
            *.404) die 4 "404: not there: $why" ;;
            *.410) die 1 "it has changed meanwhile: start again" ;;
            *.416 | 33.* | 36.*) return 9 ;;
            22.408 | 22.425 | 22.429 | 22.5??) wait=$(header '[Rr]etry-[Aa]fter') ;;
            22.*) die 1 "the mirror answers $status: $why" ;;
            23.*) die 1 "cannot write ${2#"$work"/}: is the disk full?" ;;
            1.* | 3.* | 6.* | 35.* | 51.* | 58.* | 60.* | 77.*) die 5 "no way to $MIRROR (curl says $ended)" ;;
            *) wait= ;;
        esac
        [ "$try" -lt 6 ] || die 5 "no answer from $MIRROR (curl says $ended, status $status) $why"
        case $wait in
            '' | *[!0-9]* | ????*) wait=$((1 << (try - 1))) ;;
        esac
        say "the mirror does not answer now ($status): again in $wait s"
        sleep "$wait"
        [ -z "${resuming-}" ] || set -- "$1" "$2" "$(size_of "$2")"
    done
}

size_of() { wc -c <"$1" | tr -d ' '; }
digest_of() { sha256sum <"$1" | cut -c 1-64; }
is_file() { [ "$(size_of "$1")" = "$3" ] && [ "$(digest_of "$1")" = "$2" ]; }

# Names out of a JSON list of repos: of each object in it what stands under "id", and nothing that lies deeper.
ids() {
    awk '{
        n = split($0, part, "\"")
        depth = 0; inside = 0; key = ""
        for (i = 1; i <= n; i++) {
            if (!inside) {
                text = part[i]
                depth += gsub(/[[{]/, "", text); depth -= gsub(/[]}]/, "", text)
                if (part[i] != ":") key = ""
                inside = 1; value = ""
            } else {
                value = value part[i]
                tail = part[i]; sub(/.*[^\\]/, "", tail)
                if (length(tail) % 2) continue
                if (depth == 2 && key == "id") print value
                key = value; inside = 0; value = ""
            }
        }
    }' "$1"
}

list() {
    word=$(encode "${1-}")
    for kind in models datasets spaces kernels; do
        query="limit=1000${word:+&search=$word}" before=
        [ "$kind" = models ] || before=${kind%s}:
        while :; do
            fetch "/api/$kind?$query" "$work/list"
            ids "$work/list" | sed -n "s/^[A-Za-z0-9_.\/-]*\$/$before&/p"
            # the place alone is taken from the link: no token goes where an answer says
            cursor=$(header '[Ll]ink' | sed -n 's/^<[^>]*[?&]cursor=\([A-Za-z0-9%._~+-]*\)[^>]*>; *rel="next".*$/\1/p')
            [ -n "$cursor" ] || break
            query="limit=1000${word:+&search=$word}&cursor=$cursor"
        done
    done
}

# A shard of a listing as lines of: sha256, size, the path as in an address, and as printf %b takes it.
entries() {
    awk 'BEGIN { for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i }
    function put(c) {
        if (c ~ /[A-Za-z0-9._~\/-]/) { url = url c; raw = raw c }
        else { url = url sprintf("%%%02X", code[c]); raw = raw sprintf("\\0%03o", code[c]) }
    }
    /^\{"type":"file"/ {
        sub(/,$/, "")
        at = index($0, "\"path\":\"")
        size = substr($0, 1, at - 1); sub(/.*"size":/, "", size); sub(/[^0-9].*/, "", size)
        sha = substr($0, length($0) - 65, 64)
        url = ""; raw = ""
        for (i = at + 8; i <= length($0); i++) {
            c = substr($0, i, 1)
            if (c == "\"") break
            if (c == "\\") {
                c = substr($0, ++i, 1)
                if (c == "n") c = "\n"
                else if (c == "t") c = "\t"
                else if (c == "r") c = "\r"
                else if (c == "b") c = "\b"
                else if (c == "f") c = "\f"
                else if (c == "u") {  # what is above ASCII is written as it is
                    hex = tolower(substr($0, i + 1, 4)); i += 4; value = 0
                    for (k = 1; k <= 4; k++) value = value * 16 + index("0123456789abcdef", substr(hex, k, 1)) - 1
                    if (value < 1 || value > 127) { print "bad"; next }
                    c = sprintf("%c", value)
                }
            }
            put(c)
        }
        if (at == 0 || length(sha) != 64 || sha ~ /[^0-9a-f]/ || size == "" || url == "") print "bad"
        else print sha, size, url, raw
    }' "$1"
}

# Refuses a path that leads out of DIR, by its parts or by a link that lies on its way.
expect_inside() {
    case "/$1/" in
        */../* | */./* | *//*) die 1 "the mirror names a path that leads elsewhere: refused" ;;
    esac
    rest=$1 way=$dir
    while :; do
        case $rest in
            */*) way=$way/${rest%%/*} rest=${rest#*/} ;;
            *) break ;;
        esac
        [ ! -L "$way" ] || die 1 "$way is a link, which may lead out of $dir: refused"
    done
}

# file SHA256 SIZE URL RAW
file() {
    path=$(printf '%bx' "$4")
    path=${path%x}
    expect_inside "$path"
    there=$dir/$path
    [ ! -d "$there" ] || die 1 "$there is a folder, and a file in the mirror"
    if [ -f "$there" ] && [ ! -L "$there" ] && is_file "$there" "$1" "$2"; then
        return
    fi
    part=$parts/$1
    mkdir -p -- "${there%/*}" || die 1 "cannot make ${there%/*}"
    for round in 1 2; do
        [ -f "$part" ] || : >"$part" || die 1 "cannot write in $parts"
        had=$(size_of "$part")
        if [ "$had" -gt "$2" ]; then
            : >"$part"
            had=0
        fi
        if [ "$had" -lt "$2" ]; then
            resuming=1
            fetch "$files/$3" "$part" "$had" || { [ "$round" = 1 ] && : >"$part" && continue; }
            resuming=
        fi
        if is_file "$part" "$1" "$2"; then
            mv -f -- "$part" "$there" || die 1 "cannot write $there"
            say "$path"
            return
        fi
        rm -f -- "$part"
    done
    die 1 "$path: what came is not what the listing says ($1)"
}

pull() {
    kind=models place= id=$1 revision=main
    case $id in
        model:*) id=${id#*:} ;;
        dataset:* | space:* | kernel:*) kind=${id%%:*}s place=/${id%%:*}s id=${id#*:} ;;
    esac
    case $id in
        *@*) revision=${id#*@} id=${id%%@*} ;;
    esac
    case $id in
        '' | *[!A-Za-z0-9_./-]* | -* | /* | *..*) die 2 "$1 is no repo: org/name, dataset:, space: or kernel:org/name, each with @revision" ;;
    esac
    dir=${2%/}
    case $dir in
        '') die 2 'DIR is empty' ;;
        /*) ;;
        *) dir=./$dir ;;
    esac
    parts=$dir/.cache/mirror-sync
    for place_of_ours in "$dir/.cache" "$parts"; do
        [ ! -L "$place_of_ours" ] || die 1 "$place_of_ours is a link, which may lead out of $dir: refused"
    done
    mkdir -p -- "$parts" || die 1 "cannot make $dir"

    at=/-/snapshots/$kind/$id
    fetch "$at/$(encode "$revision")/root.json" "$work/root"
    root=$(digest_of "$work/root")
    commit=$(sed -n 's/^.*"commit":"\([0-9a-f]*\)".*$/\1/p' "$work/root" | cut -c 1-40)
    [ ${#commit} -eq 40 ] || die 1 "$MIRROR is no mirror of mirror-sync, or too old a one"
    files=$place/$id/resolve/$commit
    sed -n 's/^.*"shards":\[//p' "$work/root" | awk '{
        n = split($0, part, "\"")
        for (i = 4; i <= n; i += 4) print part[i]
    }' >"$work/shards"
    count=0
    while read -r shard; do
        case $shard in
            *[!0-9a-f]* | '') die 1 'the root of the listing cannot be read' ;;
        esac
        fetch "$at/$commit/$shard" "$work/shard"
        [ "$(digest_of "$work/shard")" = "$shard" ] || die 1 "the listing is not the one that its root names"
        entries "$work/shard" >"$work/entries"
        while read -r sha size url raw; do
            [ -n "${raw-}" ] || die 1 'the listing cannot be read'
            count=$((count + 1))
            file "$sha" "$size" "$url" "$raw" </dev/null
        done <"$work/entries"
    done <"$work/shards"
    rmdir -- "$parts" "$dir/.cache" 2>/dev/null
    say "$count files of $1, commit $commit, each by its SHA-256 in the listing whose root is $root"
}

for tool in curl sha256sum awk; do
    command -v "$tool" >/dev/null 2>&1 || die 2 "$tool is not installed"
done
case $MIRROR in
    http://*[![:space:]] | https://*[![:space:]]) MIRROR=${MIRROR%/} ;;
    *) die 2 'set MIRROR to the address of the mirror: MIRROR=https://models.example.org sh get.sh ...' ;;
esac
case ${HF_TOKEN-} in
    *[!A-Za-z0-9._~+/=-]*) die 2 'HF_TOKEN holds what no token has' ;;
esac
work=$(mktemp -d) || die 1 'cannot make a temporary folder'
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

case ${1-} in
    list) [ $# -le 2 ] || usage; list "${2-}" ;;
    pull) [ $# -eq 3 ] || usage; pull "$2" "$3" ;;
    *) usage ;;
esac

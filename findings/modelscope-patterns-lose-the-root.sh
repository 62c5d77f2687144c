#!/bin/sh
# modelscope 1.37.1 (Python 3.11): `snapshot_download` with two patterns, one of a file at the root, one of a folder.
# Expected: the files that match either of them, as its documentation says.
# Seen: only what is in the folder, and no error. The server is asked for the folder alone (`Root=sub`) as soon as one pattern
#   begins with a folder's name; the pattern without a folder has no say in it, and finds nothing in what was listed.
#   modelscope 1.40.2 asks for the whole, and brings both files.
# Output seen:
#   ['config.json'] -> ['config.json']
#   ['sub/*'] -> ['sub/weights.bin']
#   ['config.json', 'sub/*'] -> ['sub/weights.bin']
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check modelscope==1.37.1
cat > "$folder/ask.py" <<'PYTHON'
import contextlib
import hashlib
import io
import json
import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

REPO = {"config.json": b"{}", "sub/weights.bin": b"weights"}


def described(path):
    content = REPO[path]
    facts = {"Size": len(content), "Sha256": hashlib.sha256(content).hexdigest(), "Revision": "1" * 40, "CommittedDate": 1}
    return {"Name": path.rsplit("/")[-1], "Path": path, "Type": "blob", **facts}


class Hub(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path.endswith("/repo"):
            return self.answer(REPO[asked["FilePath"]])
        data = {"RevisionMap": {"Branches": [{"Revision": "master", "ShowName": "master", "CreatedAt": 1}], "Tags": []}}
        if url.path.endswith("/repo/files"):
            root = f"{asked['Root']}/" if "Root" in asked else ""
            data = {"Files": [described(path) for path in REPO if path.startswith(root)]}
        self.answer(json.dumps({"Code": 200, "Success": True, "Message": "success", "Data": data}).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
logging.disable(logging.CRITICAL)
from modelscope import snapshot_download


def brought(patterns):
    where = Path(sys.argv[1], f"download-{len(patterns)}-{len(patterns[0])}")
    endpoint = f"http://127.0.0.1:{server.server_port}"
    with contextlib.redirect_stdout(io.StringIO()):
        snapshot_download("acme/model", revision="master", allow_patterns=patterns, local_dir=str(where), endpoint=endpoint)
    return [path for path in REPO if (where / path).exists()]


asked = (["config.json"], ["sub/*"], ["config.json", "sub/*"])
found = [brought(patterns) for patterns in asked]
for patterns, files in zip(asked, found, strict=True):
    print(patterns, "->", files)
raise SystemExit(0 if found == [["config.json"], ["sub/weights.bin"], ["sub/weights.bin"]] else 1)
PYTHON
HOME="$folder" MODELSCOPE_CACHE="$folder/cache" NO_PROXY="*" "$folder/venv/bin/python" "$folder/ask.py" "$folder" 2> "$folder/log"

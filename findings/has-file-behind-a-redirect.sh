#!/bin/sh
# transformers 5.23.0 with huggingface_hub 2.4.0 (Python 3.11): `has_file` where the server redirects, as the Hub does for a
# repo that was renamed, or as a mirror may to pin a branch to its commit.
# Expected: the redirect is followed, and a file that is not there is False.
# Seen: a redirect counts as "it is there", whatever it leads to. The same server without the redirect: False.
# Output seen:
#   directly: False
#   behind a redirect: True
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 huggingface_hub==2.4.0
cat > "$folder/ask.py" <<'PYTHON'
import logging
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub(BaseHTTPRequestHandler):
    def do_HEAD(self):
        if self.path.startswith("/acme/former/"):
            self.send_response(307)
            self.send_header("Location", self.path.replace("former", "present"))
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "NO_PROXY": "*"}
logging.disable(logging.CRITICAL)
from transformers.utils.hub import has_file

found = [has_file(f"acme/{name}", "none.bin", revision="main") for name in ("present", "former")]
print("directly:", found[0])
print("behind a redirect:", found[1])
raise SystemExit(0 if found == [False, True] else 1)
PYTHON
HF_HOME="$folder/hf" "$folder/venv/bin/python" "$folder/ask.py" 2>/dev/null

#!/bin/sh
# modelscope 1.37.1 (Python 3.11): a token (MODELSCOPE_API_TOKEN), and a mirror at MODELSCOPE_DOMAIN=host:port.
# Expected: the token is sent to that host, as it is to one without a port.
# Seen: nothing is sent, and nothing is said. The token goes in a cookie alone, whose domain is the whole of
#   MODELSCOPE_DOMAIN with its port; no host is called so.
#   modelscope 1.40.2 sends Authorization, and a cookie for the host.
# Output seen:
#   domain 127.0.0.1:PORT -> cookie None, authorization None
#   domain 127.0.0.1 -> cookie m_session_id=a-token, authorization None
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check modelscope==1.37.1
HOME="$folder" MODELSCOPE_CACHE="$folder/cache" "$folder/venv/bin/python" - <<'PYTHON'
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

seen = []


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append((self.headers.get("Cookie"), self.headers.get("Authorization")))
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["MODELSCOPE_API_TOKEN"] = "a-token"
from modelscope.hub.api import HubApi  # it reads the environment

for domain in (f"127.0.0.1:{server.server_port}", "127.0.0.1"):
    os.environ["MODELSCOPE_DOMAIN"] = domain
    HubApi().repo_exists("acme/one", endpoint=f"http://127.0.0.1:{server.server_port}")
    print("domain", domain, "-> cookie {}, authorization {}".format(*seen[-1]))
raise SystemExit(0 if seen == [(None, None), ("m_session_id=a-token", None)] else 1)
PYTHON

#!/bin/sh
# huggingface_hub 2.4.0 (Python 3.11): `hf_hub_download` of a branch's file that is in the cache already, when the server no
#   longer gives the repo.
# Expected: the error that its documentation names (RepositoryNotFoundError), or another, as without a cached file.
# Seen: the cached file is the answer, without an error or a word, whether the repo is gone, gated, disabled or withdrawn for
#   legal reasons, as it is when the network is down. Smaller losses are told: a branch or a file that is gone raises.
# Output seen, with a cached file and without:
#   404 RepoNotFound: the cached file; RepositoryNotFoundError
#   401 GatedRepo: the cached file; GatedRepoError
#   403: the cached file; LocalEntryNotFoundError
#   451: the cached file; LocalEntryNotFoundError
#   404 RevisionNotFound: RevisionNotFoundError; RevisionNotFoundError
#   404 EntryNotFound: RemoteEntryNotFoundError; RemoteEntryNotFoundError
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check huggingface_hub==2.4.0
cat > "$folder/ask.py" <<'PYTHON'
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub(BaseHTTPRequestHandler):
    refusal = None

    def do_GET(self):
        status, code = self.refusal or (200, "")
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("ETag", f'"{"2" * 40}"')
        self.send_header("X-Repo-Commit", "1" * 40)
        self.send_header("Content-Length", "2" if status == 200 else "0")
        self.end_headers()
        if status == 200 and self.command == "GET":
            self.wfile.write(b"{}")

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
from huggingface_hub import hf_hub_download

cached = hf_hub_download("acme/model", "config.json", cache_dir=f"{sys.argv[1]}/full")


def outcome(cache):
    try:
        path = hf_hub_download("acme/model", "config.json", cache_dir=f"{sys.argv[1]}/{cache}")
    except OSError as error:
        return type(error).__name__
    return "the cached file" if path == cached else path


expected = {
    (404, "RepoNotFound"): ("the cached file", "RepositoryNotFoundError"),
    (401, "GatedRepo"): ("the cached file", "GatedRepoError"),
    (403, ""): ("the cached file", "LocalEntryNotFoundError"),
    (451, ""): ("the cached file", "LocalEntryNotFoundError"),
    (404, "RevisionNotFound"): ("RevisionNotFoundError", "RevisionNotFoundError"),
    (404, "EntryNotFound"): ("RemoteEntryNotFoundError", "RemoteEntryNotFoundError"),
}
found = {}
for refusal in expected:
    Hub.refusal = refusal
    found[refusal] = (outcome("full"), outcome("empty"))
    print(" ".join(str(part) for part in refusal if part) + ":", "; ".join(found[refusal]))
raise SystemExit(0 if found == expected else 1)
PYTHON
HF_HOME="$folder/hf" NO_PROXY="*" "$folder/venv/bin/python" "$folder/ask.py" "$folder"

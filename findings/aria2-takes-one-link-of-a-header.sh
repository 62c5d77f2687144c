#!/bin/sh
# aria2 1.36.0 (Debian 12: aria2), RFC 6249 and RFC 8288: two mirrors of a file in one `Link` header, as a list, and the same two
# mirrors in two `Link` headers.
# Expected: the same, as a list in one header and headers of one name mean the same (RFC 9110, section 5.3).
# Seen: of the list aria2 knows the first mirror alone; the second is never asked. Of two headers it asks both.
# Output seen:
#   one header, two links: asked first
#   two headers, a link each: asked first second
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq aria2 libaria2-0 libc-ares2 libssh2-1 >download.log 2>&1 || { cat download.log; exit 2; }
for archive in *.deb; do dpkg -x "$archive" root; done
LD_LIBRARY_PATH=$(find "$folder/root" -name 'lib*.so*' -exec dirname {} + | sort -u | tr '\n' ':')
PATH=$folder/root/usr/bin:$PATH
export LD_LIBRARY_PATH PATH
aria2c --version | head -1
cat >mirrors.py <<'PY'
import hashlib
import subprocess
import threading
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = b"x" * 8_000_000
DIGEST = "SHA-256=" + b64encode(hashlib.sha256(BODY).digest()).decode()


def mirror(name, host, asked, links=(), pause=0.0):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked.append(name)
            wanted = self.headers.get("Range", "")
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            begin, end = int(first or 0), int(last or len(BODY) - 1)
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", f"bytes {begin}-{end}/{len(BODY)}")
            for link in links:
                self.send_header("Link", link)
            self.send_header("Digest", DIGEST)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(end - begin + 1))
            self.end_headers()
            try:
                for at in range(begin, end + 1, 65536):
                    self.wfile.write(BODY[at : min(at + 65536, end + 1)])
                    time.sleep(pause)
            except OSError:
                self.close_connection = True

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://{host}:{server.server_port}/file"


seen = {}
for form in ("one header, two links", "two headers, a link each"):
    asked = []
    # an address each: aria2 bounds its connections by the host
    mirrors = [mirror(name, host, asked, pause=0.02) for name, host in (("first", "127.0.0.2"), ("second", "127.0.0.3"))]
    links = [f"<{address}>; rel=duplicate" for address in mirrors]
    headers = [", ".join(links)] if form.startswith("one") else links
    main = mirror("main", "127.0.0.1", asked, headers, 0.05)
    command = ["aria2c", "--no-conf", "--quiet", "--allow-overwrite=true", "--out=file", "--split=3", "--min-split-size=1M"]
    subprocess.run([*command, "--max-connection-per-server=1", main], check=True, timeout=60)
    seen[form] = sorted({one for one in asked if one != "main"})
    print(f"{form}: asked {' '.join(seen[form])}")
raise SystemExit([*seen.values()] != [["first"], ["first", "second"]])
PY
python3 mirrors.py

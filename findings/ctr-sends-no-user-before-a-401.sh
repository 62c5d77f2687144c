#!/bin/sh
# containerd 1.6.20 (Debian 12: containerd): `ctr content fetch --user NAME:WORD` of a registry where NAME may read a repo that
# nobody else is told of.
# Expected: /v2/ is asked first, as distribution-spec 1.1 has it ("Determining Support"), and a registry may say there how to log
# in; or the words given by --user come with the first request.
# Seen: /v2/ is never asked, and NAME:WORD are sent only where a manifest itself was answered with 401. A registry that answers 404
# for what who asks may not see, as registries may, is never logged in to.
# Output seen (what the registry was asked, and whether credentials came):
#   404: HEAD /v2/acme/one/manifests/v1 without
#   401: HEAD /v2/acme/one/manifests/v1 without
#   401: HEAD /v2/acme/one/manifests/v1 with
set -eu
folder=$(mktemp -d)
trap '[ ! -f "$folder/pid" ] || kill "$(cat "$folder/pid")" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
chmod 755 "$folder"
# of containerd Debian has one version at a time, whose last digits are those of its mends
apt-get download -qq containerd 2>download.log || { cat download.log; exit 2; }
dpkg -x ./containerd_*.deb root
ls ./*.deb | sed 's/_/ /; s/_.*//'
cat >config.toml <<CONF
version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]
CONF
root/usr/bin/containerd --config config.toml --root "$folder/data" --state "$folder/state" --address "$folder/socket" \
    >containerd.log 2>&1 &
echo $! >pid
cat >ask.py <<'SCRIPT'
"""Two registries, which differ in what one without credentials is told: 404, 401."""
import http.server, pathlib, subprocess, sys, threading, time

class Registry(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        sent = "with" if self.headers.get("Authorization") else "without"
        self.server.asked.append(f"{self.server.refusal}: {self.command} {self.path} {sent}")
        self.send_response(404 if sent == "with" else self.server.refusal)
        if self.server.refusal == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="here"')
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_GET = do_HEAD
    def log_message(self, *_):
        pass

folder = pathlib.Path(sys.argv[1])
for _ in range(100):
    if (folder / "socket").exists():
        break
    time.sleep(0.1)
for refusal in (404, 401):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    server.refusal, server.asked = refusal, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    name = f"127.0.0.1:{server.server_address[1]}/acme/one:v1"
    command = [folder / "root/usr/bin/ctr", "--address", folder / "socket", "content", "fetch", "--plain-http", "--user", "ada:word", name]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=40)
    print("\n".join(dict.fromkeys(server.asked)))
    server.shutdown()
SCRIPT
found=$(python3 ask.py "$folder")
printf '%s\n' "$found"
expected='404: HEAD /v2/acme/one/manifests/v1 without
401: HEAD /v2/acme/one/manifests/v1 without
401: HEAD /v2/acme/one/manifests/v1 with'
[ "$found" = "$expected" ]

#!/bin/sh
# opentracker 0.0~git20210823.110868e-3 (Debian 12: opentracker): a whitelist that was emptied, and SIGHUP.
# Expected: `access.whitelist` names all torrents that are served; after SIGHUP, which reads it again, an empty file serves none.
# Seen: an empty file changes nothing: what the list before had is served on. A list of one other torrent takes it away at once.
# Output seen:
#   listed: announced
#   emptied: announced
#   another: refused
set -eu
folder=$(mktemp -d)
trap '[ ! -f "$folder/pid" ] || kill "$(cat "$folder/pid")" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq opentracker=0.0~git20210823.110868e-3 2>download.log || { cat download.log; exit 2; }
dpkg -x ./opentracker_*.deb root
cat >ask.py <<'SCRIPT'
"""A tracker with a list of one torrent, then with an empty list, then with a list of another one."""
import pathlib, socket, subprocess, sys, time, urllib.parse, urllib.request, os, getpass

here, known, other = pathlib.Path.cwd(), "d2" * 20, "00" * 20
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
room = here / "tracker"
room.mkdir()
root = os.getuid() == 0  # whom it leaves for nobody, shut up in the folder
for place in (here, room):
    place.chmod(0o755)
listed = room / "list"
listed.write_text(known + "\n")
place, user = ("/list", "nobody") if root else (listed, getpass.getuser())
conf = here / "conf"
conf.write_text(f"listen.tcp_udp 127.0.0.1:{port}\naccess.whitelist {place}\ntracker.rootdir {room}\ntracker.user {user}\n")
tracker = subprocess.Popen(["root/usr/bin/opentracker", "-f", str(conf)], stderr=subprocess.DEVNULL)
(here / "pid").write_text(str(tracker.pid))

def announced():
    info = urllib.parse.quote(bytes.fromhex(known))
    words = f"info_hash={info}&peer_id={'a' * 20}&port=1234&uploaded=0&downloaded=0&left=1"
    for _ in range(50):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/announce?{words}") as answer:
                return "refused" if b"failure reason" in answer.read() else "announced"
        except OSError:
            time.sleep(0.1)
    sys.exit("the tracker does not answer")

seen = []
for name, text in {"listed": None, "emptied": "", "another": other + "\n"}.items():
    if text is not None:
        listed.write_text(text)
        tracker.send_signal(1)
        time.sleep(2)
    seen.append(f"{name}: {announced()}")
print("\n".join(seen))
sys.exit(seen != ["listed: announced", "emptied: announced", "another: refused"])
SCRIPT
NO_PROXY="*" python3 ask.py

#!/bin/sh
# axe-selenium-python 2.1.6 (PyPI, the newest there that pip takes), beside axe-core 4.14.1 (npm).
# Expected: a package for judging pages brings a current axe-core, or the one that its users install.
# Seen: it brings axe-core 3.1.1 of 2018, without a word in its metadata. Rules of today are not in it, among them
# landmark-unique: pages that it finds nothing wrong with are not clean. `Axe(driver, PATH)` takes another script.
# Output seen:
#   bundled: 3.1.1
#   knows landmark-unique: no
#   npm: 4.14.1
#   knows landmark-unique: yes
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps axe-selenium-python==2.1.6
npm install --silent --no-audit --prefix "$folder/npm" axe-core@4.14.1 >/dev/null 2>&1
cat > "$folder/look.py" <<'PYTHON'
import re
import sys
from pathlib import Path

[bundled] = Path(sys.argv[1]).rglob("axe_selenium_python/node_modules/axe-core/axe.min.js")
found = []
for name, script in (("bundled", bundled), ("npm", Path(sys.argv[2]) / "node_modules/axe-core/axe.min.js")):
    text = script.read_text(encoding="utf-8")
    version = re.search(r'\.version="([0-9.]+)"', text) or re.search(r"axe v([0-9.]+)", text)
    knows = "landmark-unique" in text
    print(f"{name}: {version[1] if version else '?'}")
    print(f"knows landmark-unique: {'yes' if knows else 'no'}")
    found.append((version[1] if version else "?", knows))
raise SystemExit(0 if found == [("3.1.1", False), ("4.14.1", True)] else 1)
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder/venv" "$folder/npm"

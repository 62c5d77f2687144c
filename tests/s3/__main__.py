"""`make s3`: the contract and the whole round on every server of `tests.s3.servers`; writes docs/lab/s3.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

from botocore.exceptions import BotoCoreError, ClientError

from tests.clients.environments import CACHE, ROOT
from tests.s3.page import Row, write_page
from tests.s3.round import Round
from tests.s3.servers import CANDIDATES, Candidate
from tests.servers.bucket import S3Server
from tests.servers.child import ServerError

_CONTRACT = 1800  # seconds for all its laws


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 when all that could be installed was tried, whatever it does."""
    parser = argparse.ArgumentParser(prog="python -m tests.s3", description="Every S3 server, and docs/lab/s3.md.")
    parser.add_argument("--only", default="", help="names, with semicolons between; the others keep what the page says")
    parser.add_argument("--together", type=int, default=2, help="so many servers at once")
    options = parser.parse_args(argv)
    names = [name.strip() for name in options.only.split(";") if name.strip()]
    with ThreadPoolExecutor(options.together) as pool:
        rows = list(pool.map(_row, [one for one in CANDIDATES if not names or one.name in names]))
    write_page(ROOT / "docs" / "lab" / "s3.md", rows, [one.name for one in CANDIDATES])
    return 0


def _row(one: Candidate) -> Row:
    began = time.monotonic()
    try:
        row = _tried(one)
    except (ServerError, BotoCoreError, ClientError, OSError) as error:
        row = Row(one, fault=" ".join(str(error).split())[:300])
    except Exception:  # another server's answer may be anything: the others are tried
        row = Row(one, fault=traceback.format_exc(limit=-1).splitlines()[-1])
    _say(f"{one.name}: {row.told} ({time.monotonic() - began:.0f} s)")
    return row


def _tried(one: Candidate) -> Row:
    version, programs = one.version(), one.install()
    CACHE.mkdir(exist_ok=True)
    # Not in /tmp, which may be memory: Swift keeps extended attributes.
    with (
        tempfile.TemporaryDirectory(prefix="data-", dir=CACHE, ignore_cleanup_errors=True) as data,
        tempfile.TemporaryDirectory(prefix="round-") as folder,
        one.start(programs, Path(data)) as server,
    ):
        steps = Round(server, _bucket(server, "round"), Path(folder), one.target).run()
        useless = all(step.fault for step in steps)  # what can do nothing has no laws to keep
        kept, broken = (0, []) if useless else _contract(server, parts=one.target.get("multipart") is not False)
    return Row(one, version, tuple(steps), kept, tuple(broken))


def _bucket(server: S3Server, name: str) -> str:
    """What cannot be made is found missing by the program, which says so."""
    with suppress(BotoCoreError, ClientError):
        server.make_bucket(name)
    return name


def _contract(server: S3Server, *, parts: bool) -> tuple[int, list[str]]:
    """How many laws the server keeps, and the names of those that it breaks."""
    told = {name: getattr(server, name) for name in ("endpoint_url", "access_key", "secret_key", "region")}
    environment = {
        "S3_SERVER": json.dumps(told),
        "S3_BUCKET": _bucket(server, "contract"),
        "S3_PARTS": "yes" if parts else "no",
    }
    with tempfile.TemporaryDirectory(prefix="contract-") as folder:
        report = Path(folder) / "report.xml"
        words = ["--quiet", "--timeout=120", "-p", "no:cacheprovider", f"--junit-xml={report}"]
        command = [sys.executable, "-m", "pytest", "tests/s3/any_contract.py", *words]
        subprocess.run(
            command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, timeout=_CONTRACT, check=False
        )
        cases = list(ElementTree.parse(report).iter("testcase"))
    broken = [case.get("name", "") for case in cases if list(case.iter("failure")) or list(case.iter("error"))]
    return len(cases) - len(broken), sorted(broken)


def _say(text: str) -> None:
    sys.stdout.write(f"s3: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

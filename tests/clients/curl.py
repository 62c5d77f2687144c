"""curl as a test asks it: one request, redirects not followed, the path sent as it stands."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path

from tests.parts import program


@dataclass(frozen=True)
class Reply:
    """An answer: its protocol (`HTTP/1.1`, `HTTP/2`), its status, its headers, its body."""

    protocol: str
    status: int
    headers: Message
    body: bytes


def curl(url: str, *options: str, folder: Path) -> Reply:
    """Asks once, within 30 seconds. Raises AssertionError with curl's words when there is no answer at all."""
    body, head = folder / "curl.body", folder / "curl.head"
    body.unlink(missing_ok=True)
    fixed = ["--silent", "--show-error", "--globoff", "--path-as-is", "--max-time", "30", "--noproxy", "*"]
    files = ["--output", str(body), "--dump-header", str(head), "--write-out", "%{http_code}"]
    ran = subprocess.run([program("curl"), *fixed, *files, *options, url], capture_output=True, text=True, check=False)
    assert ran.returncode == 0 or ran.stdout.strip() not in ("", "000"), f"{url}: {ran.stderr}"
    blocks = head.read_text(encoding="latin-1").replace("\r\n", "\n").strip().split("\n\n")
    first, _, rest = blocks[-1].partition("\n")
    # With --head curl calls the headers the body.
    content = body.read_bytes() if body.exists() and "--head" not in options else b""
    return Reply(first.split()[0], int(ran.stdout), Parser().parsestr(rest), content)

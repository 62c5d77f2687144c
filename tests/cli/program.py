"""Runs the program as a child process, over a folder with a jobs.yaml and a directory upstream."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE = ("-m", "mirror_sync")
PATIENCE = 240  # seconds until a test gives up; nothing is measured

BEGIN = """\
version: 1
state_dir: state
upstreams:
  local: {kind: directory, url: "file://FOLDER/upstream"}
targets:
  disk: TARGET
defaults: {upstream: local, target: disk}
licenses: {allow: [mit]}
"""
CONFIG = f"""\
{BEGIN.replace("TARGET", '{url: "file://FOLDER/mirror"}')}\
jobs:
  - {{name: good, repos: [acme/one]}}
  - {{name: bad, repos: [acme/closed, acme/gone]}}
"""


@dataclass
class Ended:
    """How a call of the program ended."""

    code: int
    out: str
    err: str


@dataclass
class Program:
    """The program, called in `folder`."""

    folder: Path
    start: Sequence[str] = MODULE
    environ: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, **environ: str) -> Ended:
        with self.started(*arguments, streams=subprocess.PIPE, **environ) as child:
            out, err = child.communicate(timeout=PATIENCE)
        return Ended(child.returncode, out, err)

    @contextmanager
    def started(
        self, *arguments: str, streams: int = subprocess.PIPE, **environ: str
    ) -> Iterator[subprocess.Popen[str]]:
        """A child whose stdout and stderr are `streams`; it does not outlive a test that fails."""
        with subprocess.Popen(
            [sys.executable, *self.start, *arguments],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **self.environ, **environ},
            stdout=streams,
            stderr=streams,
            text=True,
        ) as child:
            try:
                yield child
            except BaseException:
                child.kill()
                raise

    def write(self, config: str = CONFIG, name: str = "jobs.yaml") -> Path:
        path = self.folder / name
        path.write_text(config.replace("FOLDER", str(self.folder)), encoding="utf-8")
        return path

    def add_repo(self, name: str, license_id: str = "mit", **files: str) -> None:
        """A repo in the upstream's folder."""
        folder = self.folder / "upstream" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "README.md").write_text(f"---\nlicense: {license_id}\n---\n", encoding="utf-8")
        for path, text in files.items():
            (folder / path).write_text(text, encoding="utf-8")

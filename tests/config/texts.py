"""A jobs.yaml without faults to change one line of, and ways to load it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import pytest

from mirror_sync.config.load import load
from mirror_sync.config.settings import Settings
from mirror_sync.errors import ConfigError

UPSTREAMS = "upstreams: {hub: {kind: huggingface}}\n"
TARGETS = "targets: {disk: {url: ./mirror}}\n"
LICENSES = "licenses: {allow: [mit]}\n"
JOBS = "jobs: [{name: one, repos: [acme/small]}]\n"
REST = UPSTREAMS + TARGETS + LICENSES
NOTHING = "repos: is missing; write repos: [sentence-transformers/all-MiniLM-L6-v2], or select: {author: Qwen}"
FOLDER = "must be a folder, as in file:///srv/mirror or ./var/mirror"


def settings(text: str, folder: Path = Path("/etc/mirror"), **environ: str) -> Settings:
    """What `text` as jobs.yaml gives; `folder` is where it seems to lie when it names nothing beside it."""
    with TemporaryDirectory() as made:
        path = (folder if folder.exists() else Path(made)) / "jobs.yaml"
        path.write_text(dedent(text), encoding="utf-8")
        return load(path, environ)


def faults(text: str | bytes, **environ: str) -> list[str]:
    """What is wrong with `text`, as a user in its folder reads it."""
    with TemporaryDirectory() as made, pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        content = text if isinstance(text, bytes) else dedent(text).encode()
        Path("jobs.yaml").write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            load(Path("jobs.yaml"), environ)
        return str(caught.value).splitlines()


def fault(text: str | bytes, **environ: str) -> str:
    """The only thing wrong with `text`, without the file's name."""
    (found,) = faults(text, **environ)
    return found.removeprefix("jobs.yaml:")


def warnings(text: str) -> list[str]:
    """What is odd about `text`, places first."""
    return [f"{found.line}:{found.column}: {found.where}: {found.message}" for found in settings(text).warnings]


def job_fault(line: str) -> str:
    """The only one of a job with this line: its column and its key as the line itself has them."""
    found = fault(f"{REST}jobs:\n- name: one\n  repos: [acme/x]\n  {line}\n")
    column, _, rest = found.removeprefix("7:").partition(": jobs[0].")
    return f"{int(column) - 2}: {rest}"

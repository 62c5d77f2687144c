"""A newcomer: from README alone to a model of their own, by the commands that stand there, in their order.

An empty folder with a clone in it; the environment, which `make` would fetch, is the one of these tests. A machine
without the Hub names another upstream (MIRROR_UPSTREAM), and one that tests elsewhere, too, another port.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.servers.ports import LOOPBACK, answers, free_port
from tests.standin import Hub
from tests.waiting import PATIENCE, until

TOP = Path(__file__).parents[2]
LISTEN = "127.0.0.1:8080"
MOST = 10  # commands
CARD = "---\nlicense: {}\n---\n# What it is\n"
MODEL = {"config.json": b"{}", "model.safetensors": os.urandom(10_000)}
REPOS = {
    "sentence-transformers/all-MiniLM-L6-v2": "apache-2.0",
    "BAAI/bge-small-en-v1.5": "mit",
}
SERVES = "make run"


def commands(page: str) -> list[str]:
    """Of the chapter that begins with nothing, each without what it says beside it."""
    chapter = re.split(r"^## ", (TOP / page).read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
    blocks = re.findall(r"^```sh\n(.*?)^```", chapter, re.MULTILINE | re.DOTALL)
    return [re.sub(r"\s+# .*$", "", line) for block in blocks for line in block.splitlines()]


def test_both_pages_lead_there_by_the_same_few_commands() -> None:
    assert commands("README.md") == commands("README.zh.md")
    assert len(commands("README.md")) <= MOST
    assert SERVES in commands("README.md")


def test_a_newcomer_has_a_model_of_their_own_that_others_download(tmp_path: Path, hub: Hub) -> None:
    for name, licence in REPOS.items():
        hub.model(name, license=licence).commit({"README.md": CARD.format(licence).encode(), **MODEL})
    hub.dataset("openai/gsm8k", license="mit").commit({"README.md": CARD.format("mit").encode(), "train.csv": b"1\n"})
    clone, home, port = tmp_path / "clone", tmp_path / "home", free_port()
    _clone(clone)
    machine = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "HF_"))},
        "HOME": str(home),
        "MIRROR_UPSTREAM": hub.url,
        "MIRROR_LISTEN": f"{LOOPBACK}:{port}",
    }
    said = {}
    typed = iter(commands("README.md"))
    for command in typed:
        if command == SERVES:
            break
        said[command] = _typed(command, clone, machine)
    with _serving(clone, machine, port):
        for command in typed:  # in another terminal
            said[command] = _typed(command.replace(LISTEN, f"{LOOPBACK}:{port}"), clone, machine)
    told = "\n".join(said.values())
    for words in ("8. What came back: the version before", "jobs.yaml: ok", "complete: 3 of 3 repos", "1 published"):
        assert words in told, told
    [got] = home.glob(".cache/huggingface/hub/models--ours--first/snapshots/*")
    own = {path.name: path.read_bytes() for path in (clone / "model").iterdir() if path.is_file()}
    assert {path.name: path.read_bytes() for path in got.iterdir()} == own
    assert own.keys() == {"README.md", *MODEL}


def _clone(folder: Path) -> None:
    """What git would bring, and beside it an environment as `make` makes one."""
    (folder / ".venv").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "mirror_sync", "tests"):
        (folder / name).symlink_to(TOP / name)
    (folder / "jobs.yaml").write_bytes((TOP / "jobs.yaml").read_bytes())
    for name in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    (folder / ".venv/.installed").touch()


def _typed(command: str, folder: Path, machine: Mapping[str, str]) -> str:
    """What a command says on both streams; it ends well."""
    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=machine,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, (command, ended.stdout)
    return ended.stdout


@contextmanager
def _serving(folder: Path, machine: Mapping[str, str], port: int) -> Iterator[None]:
    """The first terminal, in which `make run` is ended by Ctrl-C."""
    log = folder / "run.log"
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            SERVES.split(), cwd=folder, env=machine, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        ) as running,
    ):
        try:
            until(lambda: answers(port) or running.poll() is not None)
            assert running.poll() is None, log.read_text(encoding="utf-8")
            yield
        finally:
            os.killpg(running.pid, signal.SIGINT)

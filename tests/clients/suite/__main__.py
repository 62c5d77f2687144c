"""``python -m tests.clients.suite [--doors] [NAME...]``: runs the clients, all when none is named.

Minutes, and some gigabytes in ``.venvs/`` at the first time. A run of all writes ``docs/lab/clients.md``. ``--doors``:
those of the doors alone, which need no torch, and ``docs/lab/doors.md``.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from tests.catalogue.browser import chromium
from tests.chaos.game import say
from tests.clients.environments import CACHE, ROOT, environment
from tests.clients.mirror import FRONTS, WORKERS, directory_target, run_program
from tests.clients.suite import doors
from tests.clients.suite.table import CLIENTS, DATASETS, MADE, MADE_FOR_DOORS, Client
from tests.parts import program
from tests.servers.child import child
from tests.servers.ports import LOOPBACK, answers, free_port
from tests.servers.radosgw import radosgw
from tests.standin import Hub
from tests.standin.folders import folder_files

HERE = Path(__file__).parent
PAGE, DOORS_PAGE = ROOT / "docs/lab/clients.md", ROOT / "docs/lab/doors.md"
_PATIENCE = 300
NODE = {
    "hub-js": ("@huggingface/hub@2.17.5",),
    "node": ("@huggingface/hub@2.17.5", "@huggingface/transformers@4.3.2", "@huggingface/gguf@0.4.6"),
    "webtorrent": ("webtorrent@3.0.21",),
}
"""Packages for Node: each tuple in a folder of its own."""


@dataclass(frozen=True)
class Outcome:
    """What one client said against one front over one target; `ok` False with the end of its words."""

    client: Client
    place: str
    ok: bool
    said: str


def main(names: Sequence[str]) -> int:
    """Make the repos, mirror them, run the clients; returns the exit code."""
    alone, names = "--doors" in names, [name for name in names if name != "--doors"]
    offered = [client for client in CLIENTS if client.door or not alone]
    chosen = [client for client in offered if not names or any(name in client.name for name in names)]
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clients-")))
        made = make(folder / "made", MADE_FOR_DOORS if alone else MADE)
        for name, jobs in mirrors(stack, folder, made):
            for front, running in FRONTS.items():
                port, place = free_port(), folder / name.replace(" ", "-")
                with layers(place, jobs, front) as told, running(written(place, jobs, port, **told), port):
                    where, url = f"{front} over {name}", f"http://{LOOPBACK}:{port}"
                    outcomes += [tried(client, where, url, made, folder) for client in chosen]
    if not names:
        (DOORS_PAGE if alone else PAGE).write_text(page(outcomes, offered, alone=alone), encoding="utf-8")
    bad = [outcome for outcome in outcomes if not outcome.ok]
    say(f"{len(outcomes) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad else 0


@contextmanager
def layers(place: Path, jobs: Mapping[str, Any], front: str) -> Iterator[dict[str, Any]]:
    """What a front is told of images: nginx, where a `serve` beside it puts their layers together."""
    told: dict[str, Any] = {"oci": {"images": True}}
    if front == "serve":
        yield told
        return
    port = free_port()
    with FRONTS["serve"](written(place, jobs, port, **told), port):
        yield {"oci": {"images": True, "layers": f"http://{LOOPBACK}:{port}"}}


def make(out: Path, wanted: Sequence[tuple[str, Sequence[str]]]) -> Path:
    """All repos, each in a folder."""
    out.mkdir()
    for name, repos in wanted:
        say(f"{name} makes {', '.join(repos)}")
        words = [str(environment(name) / "bin/python"), str(HERE / "make.py"), str(out), *repos]
        made = subprocess.run(words, env=_environ(out), capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise RuntimeError(f"{name} made nothing: {made.stderr[-3000:]}")
    return out


def mirrors(stack: ExitStack, folder: Path, made: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The repos in a directory and in a bucket."""
    hub = stack.enter_context(Hub())
    for repo in sorted(made.iterdir()):
        new = hub.dataset if repo.name in DATASETS else hub.model
        new(f"acme/{repo.name}", license="mit").commit(folder_files(repo))
    server = stack.enter_context(radosgw())
    targets = {"a directory": directory_target(folder), "S3": server.place("some/prefix/")}
    repos = [
        f"dataset:acme/{repo.name}" if repo.name in DATASETS else f"acme/{repo.name}" for repo in sorted(made.iterdir())
    ]
    for name, target in targets.items():
        jobs = {
            "version": 1,
            "state_dir": str(folder / f"state {name}"),
            "upstreams": {"hub": {"kind": "huggingface", "endpoints": [hub.url]}},
            "targets": {"bucket": target},
            "defaults": {"upstream": "hub", "target": "bucket"},
            "licenses": {"allow": ["mit"]},
            "jobs": [{"name": "all", "repos": repos}],
        }
        place = folder / name.replace(" ", "-")
        place.mkdir()
        run_program("-c", written(place, jobs, free_port(), oci={"images": True}), "sync", "--json")
        yield name, jobs


def written(folder: Path, jobs: Mapping[str, Any], port: int, **front: Any) -> Path:
    """A job file whose front listens on this port; JSON is YAML."""
    path = folder / f"jobs-{port}.yaml"
    at = {"listen": f"{LOOPBACK}:{port}", "url": f"http://{LOOPBACK}:{port}"}
    path.write_text(
        json.dumps({**jobs, "front": {**at, "s3": True, "torrents": True, **WORKERS, **front}}), encoding="utf-8"
    )
    path.chmod(0o600)
    return path


def tried(client: Client, place: str, url: str, made: Path, folder: Path) -> Outcome:
    """Run one client in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        try:
            ok, said = _RUNS.get(client.environment, _python)(client, url, made, Path(scratch))
        except Exception as error:  # whatever goes wrong with one must not stop the others
            ok, said = False, f"{type(error).__name__}: {error}"
    say(f"{'ok  ' if ok else 'FAIL'} {client.name}, {place}: {said[-200 if ok else -1500 :]}")
    return Outcome(client, place, ok, said)


def _python(client: Client, url: str, _made: Path, scratch: Path) -> tuple[bool, str]:
    words = [str(environment(client.environment) / "bin/python"), str(HERE / "use.py"), client.use]
    return _ran(words, _environ(scratch, HF_ENDPOINT=url), scratch)


def _llama(client: Client, url: str, made: Path, scratch: Path) -> tuple[bool, str]:
    """The file it chose, and has whole: it need not be a model that can be loaded."""
    if client.use != "llama":
        return _python(client, url, made, scratch)
    programs = environment(client.environment) / "bin"
    port = str(free_port())
    # By its Python: pip wrote that one's path into the program, and a checkout may be moved.
    words = [str(programs / "python"), str(programs / "llama-server-vulkan")]
    words += ["-hf", "acme/quants:Q4_K_M", "--host", LOOPBACK, "--port", port, "--no-warmup"]
    _, said = _ran(words, _environ(scratch, HF_ENDPOINT=url, LLAMA_CACHE=str(scratch)), scratch)
    wanted = (made / "quants/tiny-Q4_K_M.gguf").read_bytes()
    found = [one for one in scratch.rglob("*") if one.is_file() and one.read_bytes() == wanted]
    return bool(found), f"chose {found[0].name}" if found else said


def _s3(client: Client, url: str, made: Path, scratch: Path) -> tuple[bool, str]:
    name, repo = client.use.split()
    bucket = "datasets" if repo in DATASETS else "models"
    words = [str(environment(client.environment) / "bin/python"), str(HERE / "use_s3.py"), name]
    return _ran([*words, url, bucket, f"acme/{repo}/main/", str(made / repo), "any"], _environ(scratch), scratch)


def _node(client: Client, url: str, _made: Path, scratch: Path) -> tuple[bool, str]:
    script = node_folder() / "use.mjs"
    shutil.copy(HERE / "use.mjs", script)
    return _ran(["node", str(script), client.use], _environ(scratch, MIRROR=url), scratch)


def _door(client: Client, url: str, made: Path, scratch: Path) -> tuple[bool, str]:
    return True, doors.RUNS[client.use](url, made, scratch)


def _webtorrent(_: Client, url: str, made: Path, scratch: Path) -> tuple[bool, str]:
    script = node_folder("webtorrent") / "torrent.mjs"
    shutil.copy(HERE / "torrent.mjs", script)

    def fetch(torrent: Path, folder: Path) -> None:
        ok, said = _ran(["node", str(script), str(torrent), str(folder)], _environ(scratch), scratch)
        assert ok, said

    return True, doors.by_torrent(fetch, url, made, scratch)


def _chromium(client: Client, url: str, made: Path, scratch: Path) -> tuple[bool, str]:
    site = scratch / "site"
    site.mkdir()
    shutil.copy(HERE / f"{client.use}.html", site / "page.html")
    package = {"page": "transformers/dist", "hub": "hub/dist/browser"}[client.use]
    for one in (node_folder() / "node_modules/@huggingface" / package).glob("*"):
        if one.is_file():
            shutil.copy(one, site)
    (site / "node_modules").symlink_to(node_folder() / "node_modules")
    port, repo = free_port(), "bert" if (made / "bert").exists() else "words"
    serve = [sys.executable, "-m", "http.server", str(port), "--bind", LOOPBACK, "--directory", str(site)]
    with child(serve, scratch / "site.log") as running, chromium(scratch / "profile") as browser:
        running.wait_until(lambda: answers(port), 20)
        browser.get(f"http://{LOOPBACK}:{port}/page.html?mirror={url}&repo=acme/{repo}")
        running.wait_until(lambda: browser.title != "waits", 60)
        return browser.title.startswith("ok"), browser.title


def _tool(client: Client, url: str, made: Path, scratch: Path) -> tuple[bool, str]:
    address = f"{url}/acme/bert/resolve/main/model.safetensors"
    words = [word.format(folder=scratch, file=address) for word in client.use.split()]
    ok, said = _ran([program(words[0]), *words[1:]], _environ(scratch), scratch)
    whole = ok and (scratch / "file").read_bytes() == (made / "bert/model.safetensors").read_bytes()
    return whole, "whole" if whole else said


_RUNS: Mapping[str, Callable[[Client, str, Path, Path], tuple[bool, str]]] = {
    "node": _node,
    "chromium": _chromium,
    "door": _door,
    "tool": _tool,
    "suite-llama": _llama,
    "suite-s3": _s3,
    "suite-runai": _s3,
    "webtorrent": _webtorrent,
}


def _ran(words: Sequence[str], environ: Mapping[str, str], folder: Path) -> tuple[bool, str]:
    ran = subprocess.run(
        words,
        env=environ,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
        stdin=subprocess.DEVNULL,
    )
    if ran.returncode == 0:
        return True, (ran.stdout.strip().splitlines() or [""])[-1]
    return False, (ran.stdout + ran.stderr)[-3000:]


def _environ(home: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    own = {
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "NO_PROXY": "*",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "2",
    }
    return {**kept, **own, **more}


@cache
def node_folder(name: str = "node") -> Path:
    """A folder with packages for Node, installed when missing; their scripts, which download, are not run."""
    folder, packages = CACHE / f"suite-{name}", NODE[name]
    whole = folder / "-".join(one.rpartition("@")[2] for one in packages)
    if not whole.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true}')
        words = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
        whole.touch()
    return folder


def version(client: Client) -> str:
    """Of what was run."""
    if client.environment in ("node", "chromium", "webtorrent"):
        every = [name for packages in NODE.values() for name in packages]
        return next(name.rpartition("@")[2] for name in every if name.startswith(f"{client.distribution}@"))
    if client.distribution == "libtorrent":
        return importlib.metadata.version("libtorrent")
    if client.environment == "door" and not client.distribution:
        return ""
    if client.distribution in ("oras", "modelscope"):
        client = replace(client, environment={"oras": "registry", "modelscope": "modelscope-1.40"}[client.distribution])
    if client.environment in ("tool", "door"):
        words = [program(client.distribution), "--version"]
        said = subprocess.run(words, capture_output=True, text=True, check=False).stdout
        found = re.search(r"\d+\.\d+(\.\d+)?", said)
        return found[0] if found else "?"
    code = f"import importlib.metadata as m; print(m.version({client.distribution!r}))"
    words = [str(environment(client.environment) / "bin/python"), "-c", code]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def page(outcomes: Sequence[Outcome], offered: Sequence[Client], *, alone: bool) -> str:
    """docs/lab/clients.md, or docs/lab/doors.md."""
    if alone:
        return _page_of_doors(outcomes, offered)
    lines = [
        "# Clients that were run",
        "",
        "Made by `make clients`: tiny repos of the clients' own libraries, mirrored into a directory and into S3",
        "(radosgw), and read through `mirror-sync serve` and the generated nginx. Nothing is set but `HF_ENDPOINT` and",
        "what the table says.",
        "",
        _when(),
        "",
        "| client | version | works with | cannot |",
        "|---|---|---|---|",
    ]
    for client in offered:
        mine = [outcome for outcome in outcomes if outcome.client == client]
        failed = ", ".join(outcome.place for outcome in mine if not outcome.ok)
        works = f"**fails**: {failed}" if failed else client.setting or "`HF_ENDPOINT` alone"
        lines.append(f"| {client.name} | {version(client)} | {works} | {client.limit} |")
    return "\n".join(lines) + "\n"


def _when() -> str:
    return f"A long run, outside of CI; the last one was on {datetime.now(UTC):%Y-%m-%d}."


def _page_of_doors(outcomes: Sequence[Outcome], offered: Sequence[Client]) -> str:
    lines = [
        "# Clients of the doors that were run",
        "",
        "Made by `make doors`: a repo of GGUF files and one of tables, mirrored into a directory and S3 (radosgw),",
        "read through `mirror-sync serve` and the generated nginx, which asks a `serve` for layers of images. What a",
        "client took was compared with what was made.",
        "",
        _when(),
        "",
        "| client | version | door | address | " + " | ".join(sorted({one.place for one in outcomes})) + " | cannot |",
        "|---|---|---|---|" + "---|" * len({one.place for one in outcomes}) + "---|",
    ]
    for client in offered:
        mine = sorted((one for one in outcomes if one.client == client), key=lambda one: one.place)
        found = " | ".join("works" if one.ok else "**fails**" for one in mine)
        setting = client.setting or "`HF_ENDPOINT`"
        lines.append(f"| {client.name} | {version(client)} | {client.door} | {setting} | {found} | {client.limit} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

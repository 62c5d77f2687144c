"""All surfaces that are held, by the name of their golden file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.cli.program import ROOT
from tests.contract import inside, targets
from tests.contract.environ import variables
from tests.contract.fronts import answers
from tests.contract.running import CALLS, LINES
from tests.contract.shapes import keys_of, shape
from tests.contract.world import World

_NAMES = ("named", "part", "bad", "disk", "hub")  # of jobs, the target, the upstream
_KEPT = re.compile(r"(?:Exec\w+|Type|User|Group|\w+Directory|EnvironmentFile|KillSignal|RestartPrevent\w+)=.*")
_OFF = ("--nonsense",), ("nonsense",), ("check", "extra"), ("status", "--watch", "0"), ("sync", "nonsense")


@dataclass(frozen=True)
class Surface:
    """`make` gives its lines; it `needs` a part of the system beside Python, or none."""

    make: Callable[[World], Iterable[str]]
    needs: str = ""


def json_documents(world: World) -> Iterator[str]:
    """The keys and types of what each command prints with --json."""
    for name, documents in sorted(world.documents().items()):
        yield from (f"{name}: {line}" for line in shape(documents, _NAMES))


def exit_codes(world: World) -> Iterator[str]:
    """How the program ended: at each call of the small world, at bad usage, at each kind of error."""
    yield from (f"mirror-sync {words}: exit {ended.code}" for words, ended in world.ended.items())
    for words in _OFF:
        yield f"mirror-sync {' '.join(words)}: exit {world.program(*words).code}"
    yield f"mirror-sync --config none.yaml check: exit {world.program('--config', 'none.yaml', 'check').code}"
    yield f"mirror-sync trigger part, without a daemon: exit {world.program('trigger', 'part').code}"
    yield f"SIGTERM to mirror-sync daemon: exit {world.running.code}"
    yield from (f"error {line}" for line in inside.error_codes())


def config_keys(world: World) -> Iterator[str]:
    """Every key of jobs.yaml, from what `check --schema` prints."""
    yield from keys_of(json.loads(world.program("check", "--schema").out))


def log_lines(world: World) -> Iterator[str]:
    """The events of the log, and what is on every line beside their fields."""
    lines = [json.loads(line) for line in world.ended["sync --json --log-format json"].err.splitlines()]
    always = set.intersection(*(set(line) for line in lines))
    yield f"every line: {', '.join(sorted(always))}"
    yield from inside.log_events()


def socket_protocol(world: World) -> Iterator[str]:
    """What the daemon's socket answers."""
    for line in LINES:
        answer = json.loads(world.running.said[line])
        yield f"> {line}"
        yield from (f"< {one}" for one in ([f"error: {answer['error']}"] if "error" in answer else shape([answer])))


def daemon_http(world: World) -> Iterator[str]:
    """What the daemon's HTTP answers. Whether it is ready depends on the moment: both answers are one shape."""
    for (method, path, headers, body), (status, kind, text) in zip(CALLS, world.running.answered, strict=True):
        said = "".join(f" [{name}: {value}]" for name, value in headers.items())
        sent = "" if body is None else f" {json.dumps(body)}"
        yield f"{method} {path}{said}{sent}: {'200 or 503' if path == '/readyz' else status} {kind}".rstrip()
        if kind == "application/json":
            yield from (f"  {line}" for line in shape([json.loads(text)], _NAMES) if "<name>" not in line)


def units(_: World) -> Iterator[str]:
    """The files of systemd, and of each what an operator's own files name or rely on."""
    for path in sorted((ROOT / "systemd").iterdir()):
        yield path.name
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if (_KEPT.fullmatch(line) if path.suffix == ".service" else line[:1] != "#")]
        yield from (f"  {line}" for line in kept)


def environment(_: World) -> Iterator[str]:
    """The variables that are read."""
    yield from variables()


def nginx_files(world: World) -> Iterator[str]:
    """The names of what `front nginx` writes."""
    ended = world.program("front", "nginx", "-o", "written")
    assert ended.code == 0, ended.err
    folder = world.folder / "written"
    yield from sorted(str(path.relative_to(folder)) + "/" * path.is_dir() for path in folder.rglob("*"))


SURFACES = {
    "commands": Surface(lambda _: inside.commands()),
    "bucket-documents": Surface(targets.documents),
    "bucket-keys": Surface(targets.keys),
    "config-keys": Surface(config_keys),
    "daemon-http": Surface(daemon_http),
    "daemon-socket": Surface(socket_protocol),
    "environment": Surface(environment),
    "exit-codes": Surface(exit_codes),
    "front-nginx": Surface(lambda world: answers(world, "nginx"), needs="nginx"),
    "front-nginx-files": Surface(nginx_files),
    "front-routes": Surface(lambda _: inside.route_table()),
    "front-serve": Surface(lambda world: answers(world, "serve")),
    "json-documents": Surface(json_documents),
    "log-events": Surface(log_lines),
    "metrics": Surface(lambda _: inside.metrics()),
    "state-folder": Surface(targets.state_names),
    "systemd": Surface(units),
    "words": Surface(lambda _: inside.words()),
}

"""A Hub, a mirror that jobs fill from it, its daemon's answers over HTTP, and fronts that ask there."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette

from mirror_sync.config.load import load
from mirror_sync.config.settings import Settings
from mirror_sync.daemon.misses import MissDesk, _Allowance, miss_route
from mirror_sync.daemon.runs import Runs
from mirror_sync.domain.access.rights import AccessRules
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target
from mirror_sync.front.misses.daemon_desk import DeskOptions
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.front.serve.uvicorn_server import serving
from mirror_sync.observe.metrics.metrics import Metrics
from mirror_sync.ports.store import Store
from mirror_sync.state.wishes import Wishes
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.wiring.program import Mirror as Program
from tests.front import mirrors
from tests.front.guarded import ACCESS, write_tokens
from tests.requirements import need
from tests.standin import Hub
from tests.waiting import PATIENCE

SECRET = "front-secret-1234"
BIG = b"\x00weights" * 4000
CARD = b"---\nlicense: apache-2.0\n---\n"
OPEN = ("pub/here", "pub/wanted", "pub/late", "pub/denied", "team/here", "team/wanted", "open/paused", "far/x")
JOBS = """
version: 1
state_dir: state
upstreams: {{hub: {{kind: huggingface, endpoints: ["{hub}"], token: hf_mirror}}}}
targets: {{disk: {{{place}{more}}}}}
licenses: {{allow: [apache-2.0]}}
front: {{miss: {mode}}}
site: {{name: Example models, ask: {{form: true}}}}
http: {{front_secret: {secret}}}
access:
  anonymous: [pub/*, open/*]
  roles:
    developers: {{read: [team/*, pub/gatedone]}}
    auditors: {{see: ["*"]}}
    admins: {{read: ["*"]}}
    nothings: {{}}
  tokens: tokens.yaml
  contact: ml-platform@example.org
jobs:
- {{name: here, repos: [pub/here, pub/gatedone, team/here]}}
- {{name: wide, repos: ["pub/*", "team/*", "!pub/denied"]}}
- {{name: paused, repos: [open/paused]}}
"""


def fill(hub: Hub) -> None:
    """Repos that jobs name, and one that none does."""
    for name in OPEN:
        hub.model(name, license="apache-2.0").commit({"README.md": CARD, "config.json": b"{}", "big.bin": BIG})
    hub.model("pub/nc", license="cc-by-nc-4.0").commit({"README.md": b"no"})
    hub.model("pub/gatedone", license="apache-2.0", gated="auto").commit({"README.md": b"gated"})
    hub.model("pub/gatedtwo", license="apache-2.0", gated="auto").commit({"README.md": b"gated"})


@dataclass
class Desk:
    """A daemon's answers: `url` where fronts find it."""

    program: Program
    settings: Settings
    runs: Runs
    desk: MissDesk
    metrics: Metrics
    url: str

    def options(self, mode: str) -> DeskOptions:
        parts = urlsplit(self.url)
        return DeskOptions(mode, "disk", parts.hostname or "", parts.port or 0, SECRET)

    @property
    def wishes(self) -> Mapping[str, tuple[str, ...]]:
        """Who wants what."""
        return {str(one.repo): one.askers for one in Wishes(self.settings.state_dir, reading=True).all()}


@contextmanager
def desk_of(hub: Hub, folder: Path, mode: str, more: str = "", place: str = "") -> Iterator[Desk]:
    """The daemon's part of all this, without a clock of its own; `more` is said of the target, which is at `place`."""
    path, place = folder / "jobs.yaml", place or f'url: "file://{folder}/mirror"'
    text = JOBS.format(hub=hub.url, place=place, mode=mode, secret=SECRET, more=more)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    write_tokens(folder / "tokens.yaml")
    settings = load(path, {})
    program, metrics = Program(settings), Metrics()
    made: list[MissDesk] = []
    runs = Runs(threading.Event(), lambda event: None, lambda: None, lambda *came: made[0].learn(*came))  # noqa: PLW0108  not yet made
    made.append(MissDesk(runs.wanted, metrics.misses, patience=PATIENCE))
    much = (1.0, 1_000_000)  # how much one may ask has tests of its own: no clock decides these
    made[0]._notes = made[0]._names = made[0]._files = _Allowance(much, much, lambda: 0.0)
    runs.take(settings, program)
    made[0].take(settings, program)
    with serving(Starlette(routes=[miss_route(SECRET, made[0])])) as url:
        yield Desk(program, settings, runs, made[0], metrics, url)
    runs.end(PATIENCE)


def front_of(
    kind: str, folder: Path, options: DeskOptions, access: AccessRules = ACCESS, bucket: S3Target | None = None
) -> AbstractContextManager[mirrors.Mirror]:
    """serve or nginx over the target."""
    target, tokens = bucket or DirectoryTarget(folder / "mirror"), folder / "tokens.yaml"
    store: Store
    if isinstance(target, DirectoryTarget):
        target.root.mkdir(exist_ok=True)
        store = DirectoryStore(target.root)
    else:
        store = mirrors.s3_store(target)
    doors = frozenset({"ask", "oci", "s3", "torrents"})
    if kind == "serve":
        return mirrors.by_serve(store, access=access, tokens=tokens, desk=options, doors=doors)
    need("nginx")
    told = NginxOptions(target, access=access, tokens=tokens, desk=options, doors=doors)
    return mirrors.by_nginx(store, told, folder / f"nginx-{options.mode}-{options.port}")


@dataclass
class World:
    """Everything of one mode of front.miss."""

    hub: Hub
    desk: Desk
    front: mirrors.Mirror
    folder: Path = field(repr=False)

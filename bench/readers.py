"""What a front costs its readers: the same blob from plain nginx, from the nginx front and from ``mirror-sync serve``.

Servers take turns, the order changes from round to round, and each answers the same for a moment before it is measured;
what is said is the median of the rounds. A ratio is the front's rate against that of the plain nginx which does the
same: reads files, passes a bucket's objects on, or has them in its cache. The ratio by CPU is that of the CPU seconds
which the two take for the same; it is the steadier of the two where others use the machine.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import urllib.request
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from bench.figures import MIB, Target, Verdict
from bench.readers_client import Ask, Outcome, run_load
from bench.readers_servers import LARGE, SMALL, Content, Running, front, plain_files, plain_proxy, publish, serve
from bench.setting import Setting, say
from bench.table import Row, Section
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.mirrors import s3_store

CLIENTS = (1, 10, 100)
CACHE = 8 << 30  # bytes that a front over S3 may keep
P50_MS = {"HEAD of a file": 1.0}  # at most, of what a client asks about files, half of the time, with nobody else there
USUAL_P50_MS = 2.0
SERVE_RATIO = 0.5  # of nginx's rate what `serve` should reach, where bytes are most of it
_SECONDS = {"directory": 1.5, "S3, kept": 1.5, "S3, passed on": 1.0}
_CROWD_SECONDS = 3.0  # radosgw reads 16 MiB for each of its clients before it sends a byte
_WARM_SECONDS = 0.15
_IDLE = 0.05  # seconds in which a bucket with nothing else to do gives a small object
_METADATA_SECONDS = 0.3
_MINUTE = 60

Unit = Literal["MiB/s", "1/s"]


@dataclass(frozen=True)
class Read:
    """A kind of request; `length` is what it brings, in bytes, `ratio` the least that a front should reach, and
    `of_many` that with more than one client.
    """

    name: str
    length: int
    ratio: float
    of_many: float

    @property
    def unit(self) -> Unit:
        return "1/s" if self.length == SMALL else "MiB/s"

    def asks(self, content: Content, *, prefix: str = "", by_key: bool = False) -> list[Ask]:
        if self.length == SMALL:
            return [Ask(prefix + target, size=SMALL) for target in content.small_at(by_key=by_key)]
        target = prefix + content.large_at(by_key=by_key)
        if self.length == LARGE:
            return [Ask(target, size=LARGE)]
        # neither begins nor ends where a server has cut the file
        starts = [at + 12345 for at in range(0, LARGE - self.length - 12345, self.length)]
        return [self._part(target, start) for start in starts]

    def _part(self, target: str, start: int) -> Ask:
        wanted = f"Range: bytes={start}-{start + self.length - 1}"
        return Ask(target, headers=(wanted,), status=206, size=self.length)


READS = (
    Read("256 MiB, whole", LARGE, 0.9, 0.95),
    Read("16 MiB ranges", 16 * MIB, 0.9, 0.95),
    Read("1 MiB ranges", MIB, 0.7, 0.7),
    Read("4 KiB files", SMALL, 0.4, 0.4),
)


@dataclass(frozen=True)
class Server:
    """Somebody who serves the content: by its blobs' keys, or by the Hub's paths."""

    name: str
    """``plain``, ``front`` or ``serve``, of an older build with its name behind it."""
    where: str
    running: Running
    prefix: str = ""

    @property
    def url(self) -> str:
        return self.running.url

    def asks(self, read: Read, content: Content) -> list[Ask]:
        return read.asks(content, prefix=self.prefix, by_key=self.name == "plain")


@dataclass
class Tally:
    """All outcomes, by what was measured: where, what, with how many clients, from whom."""

    found: dict[tuple[str, str, int, str], list[Outcome]] = field(default_factory=dict)
    cpu: dict[tuple[str, str, int, str], float] = field(default_factory=lambda: defaultdict(float))

    def measure(self, server: Server, what: str, asks: Sequence[Ask], clients: int, seconds: float) -> None:
        """Raises RuntimeError for any answer that is not the expected one."""
        key = (server.where, what, clients, server.name)
        warm = run_load(server.url, asks, min(clients, 10), _WARM_SECONDS)
        before = server.running.cpu_seconds()
        outcome = run_load(server.url, asks, clients, seconds)
        self.cpu[key] += server.running.cpu_seconds() - before
        if warm.errors + outcome.errors:
            raise RuntimeError(f"{key}: {(warm.errors + outcome.errors)[:3]}")
        self.found.setdefault(key, []).append(outcome)

    def cpu_ratio(self, where: str, read: Read, clients: int) -> float | None:
        """The CPU seconds of plain nginx against those of the front, for the same; None when it cannot be told."""
        costs = []
        for name in ("plain", "front"):
            key = (where, read.name, clients, name)
            done = sum(len(one.latencies) if read.unit == "1/s" else one.body_bytes for one in self.found[key])
            costs.append(self.cpu[key] / done if done else 0.0)
        return costs[0] / costs[1] if all(costs) else None

    def rate(self, where: str, read: Read, clients: int, name: str) -> float | None:
        """The median of the rounds; None when it was not measured."""
        outcomes = self.found.get((where, read.name, clients, name), [])
        rates = [one.mib_per_second if read.unit == "MiB/s" else one.requests_per_second for one in outcomes]
        return median(rates) if rates else None

    def p50(self, where: str, what: str, clients: int, name: str) -> float | None:
        """Milliseconds; None when no answer was over."""
        found = [one.p50_ms for one in self.found.get((where, what, clients, name), [])]
        times = [one for one in found if one is not None]
        return median(times) if times else None


def run(setting: Setting) -> Section:
    """Whole files, ranges, small files and metadata, with 1, 10 and 100 clients, over a directory and over S3."""
    tally = Tally()
    with ExitStack() as running:
        content, servers = _everybody(setting, running)
        for server in servers:
            _prove(server, content)
        for number in range(setting.rounds):
            say(f"readers: round {number + 1} of {setting.rounds}")
            _round(number, servers, content, tally)
    shutil.rmtree(setting.work / "readers")
    names = [build.name for build in setting.builds[1:]]
    lines = [_line(tally, where, read, clients, names) for where in _SECONDS for read in READS for clients in CLIENTS]
    wheres = ("directory", "S3, kept")
    lines += [_metadata_line(tally, where, what, names) for where in wheres for what in _metadata(content)]
    return Section(
        "readers",
        "Readers",
        [row for row, _ in lines],
        [verdict for _, verdicts in lines for verdict in verdicts],
        notes=[(__doc__ or "").partition("\n\n")[2].strip().replace("\n", " ")],
        rounds=setting.rounds,
        raw=[_raw(key, outcomes) for key, outcomes in tally.found.items()],
    )


def run_minute(setting: Setting) -> Section:
    """For a minute a hundred clients ask a front over S3 for all that clients ask for."""
    with ExitStack() as running:
        bucket, content = _bucket(setting)
        url = running.enter_context(front(setting.ours, bucket, setting.fresh("readers") / "front", CACHE)).url
        asks = [one for read in READS[1:] for one in read.asks(content)[:100]]
        asks += list(_metadata(content).values())
        outcome = run_load(url, asks, 100, _MINUTE)
    shutil.rmtree(setting.work / "readers")
    row = {
        "clients": "100",
        "seconds": f"{outcome.seconds:.0f}",
        "answers": f"{len(outcome.latencies):,}",
        "MiB/s": f"{outcome.mib_per_second:.0f}",
        "p50 ms": _shown(outcome.p50_ms),
        "errors": str(len(outcome.errors)),
    }
    verdict = Target("errors of 100 clients in a minute", "at most", 0).judge(len(outcome.errors))
    return Section("readers-minute", "A minute of 100 readers", [row], [verdict], notes=outcome.errors[:3])


def _bucket(setting: Setting) -> tuple[S3Target, Content]:
    gateway = setting.gateway()
    bucket = S3Target(
        gateway.make_bucket(),
        endpoint_url=gateway.endpoint_url,
        region=gateway.region,
        access_key=gateway.access_key,
        secret_key=gateway.secret_key,
    )
    objects = f"arn:aws:s3:::{bucket.bucket}/*"
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": objects}
    policy = {"Version": "2012-10-17", "Statement": [statement]}  # plain nginx signs nothing
    gateway.client().put_bucket_policy(Bucket=bucket.bucket, Policy=json.dumps(policy))
    return bucket, publish(s3_store(bucket))


def _everybody(setting: Setting, running: ExitStack) -> tuple[Content, list[Server]]:
    folder = setting.fresh("readers")
    directory = DirectoryTarget(folder / "mirror")
    bucket, content = _bucket(setting)
    publish(DirectoryStore(directory.root))
    start = running.enter_context
    proxy = start(plain_proxy(bucket, folder / "plain-s3"))
    servers = [
        Server("plain", "directory", start(plain_files(directory.root, folder / "plain"))),
        Server("plain", "S3, kept", proxy, prefix="/cached"),
        Server("plain", "S3, passed on", proxy),
    ]
    for number, build in enumerate(setting.builds):
        at, more = folder / f"build-{number}", f" {build.name}" if number else ""
        at.mkdir()
        servers += [
            Server(f"front{more}", "directory", start(front(build, directory, at / "front", CACHE))),
            Server(f"serve{more}", "directory", start(serve(build, directory, at / "serve"))),
            Server(f"front{more}", "S3, kept", start(front(build, bucket, at / "front-s3", CACHE))),
            Server(f"front{more}", "S3, passed on", start(front(build, bucket, at / "front-s3-passing", 0))),
            Server(f"serve{more}", "S3, passed on", start(serve(build, bucket, at / "serve-s3"))),
        ]
    return content, servers


def _prove(server: Server, content: Content) -> None:
    """Ask for everything once; the bytes must be the published ones."""
    for read in READS:
        asks = server.asks(read, content)
        for ask in asks if read.length in (LARGE, SMALL) else asks[:1]:
            headers = dict(line.split(": ", 1) for line in ask.headers)
            wanted = urllib.request.Request(server.url + ask.target, headers=headers)
            with urllib.request.urlopen(wanted, timeout=60) as answer:
                body = answer.read()
            found = hashlib.sha256(body).hexdigest()
            if read.length in (LARGE, SMALL) and found not in (content.large, *content.small):
                raise RuntimeError(f"{server}: {ask.target} is not what was published")


def _round(number: int, servers: Sequence[Server], content: Content, tally: Tally) -> None:
    turns = servers[::-1] if number % 2 else servers
    for where in _SECONDS:
        own = [server for server in turns if server.where == where]
        for read in READS:
            for clients in CLIENTS:
                for server in own:
                    _measure(tally, server, read, content, clients)
                    if where == "S3, passed on":
                        _await_idle(next(one for one in own if one.name == "plain"), content)
    for what, ask in _metadata(content).items():
        for server in turns:
            if server.name != "plain":
                tally.measure(server, what, [ask], 1, _METADATA_SECONDS)


def _measure(tally: Tally, server: Server, read: Read, content: Content, clients: int) -> None:
    crowd = server.where == "S3, passed on" and clients == CLIENTS[-1]
    if crowd and server.name.startswith("serve"):
        return  # it takes long to say that Python is no place for a crowd
    seconds = _CROWD_SECONDS if crowd and read.length > MIB else _SECONDS[server.where]
    tally.measure(server, read.name, server.asks(read, content), clients, seconds)


def _await_idle(proxy: Server, content: Content) -> None:
    """A bucket goes on for a while for clients who have left; the next server is not to wait for them."""
    ask = Ask(content.small_at(by_key=True)[0], size=SMALL)
    for _ in range(50):
        if max(run_load(proxy.url, [ask], 1, _IDLE).latencies, default=1.0) < _IDLE:
            return


def _metadata(content: Content) -> dict[str, Ask]:
    return {
        "model info": Ask(content.repo.api),
        "HEAD of a file": Ask(f"{content.at}/large.bin", "HEAD", size=LARGE),
        "a page of a listing": Ask(f"{content.repo.api}/tree/{content.commit}?recursive=true"),
    }


def _line(tally: Tally, where: str, read: Read, clients: int, older: Sequence[str]) -> tuple[Row, list[Verdict]]:
    plain, ours, served = (tally.rate(where, read, clients, name) for name in ("plain", "front", "serve"))
    ratio = (ours or 0.0) / plain if plain else 0.0
    what = f"{where}: {read.name}, {clients} client{'s' * (clients > 1)}"
    verdicts = [Target(what, "at least", read.ratio if clients == 1 else read.of_many, "x").judge(ratio)]
    if served is not None and ours and clients > 1 and read.length > MIB:
        verdicts.append(Target(f"{what}: `serve` / nginx front", "at least", SERVE_RATIO, "x").judge(served / ours))
    row: dict[str, str] = {
        "read": f"{where}: {read.name}",
        "clients": str(clients),
        "unit": read.unit,
        "plain nginx": _shown(plain),
        "nginx front": _shown(ours),
        "ratio": f"{ratio:.2f}",
        "ratio by CPU": _shown(tally.cpu_ratio(where, read, clients)),
        "p50 ms, plain": _shown(tally.p50(where, read.name, clients, "plain")),
        "p50 ms, front": _shown(tally.p50(where, read.name, clients, "front")),
        "serve": _shown(served),
    }
    for build in older:
        row[f"front {build}"] = _shown(tally.rate(where, read, clients, f"front {build}"))
        row[f"serve {build}"] = _shown(tally.rate(where, read, clients, f"serve {build}"))
    return row, verdicts


def _metadata_line(tally: Tally, where: str, what: str, older: Sequence[str]) -> tuple[Row, list[Verdict]]:
    served = tally.p50("S3, passed on" if where == "S3, kept" else where, what, 1, "serve")
    took = tally.p50(where, what, 1, "front") or float("inf")
    row = {
        "read": f"{where}: {what}",
        "clients": "1",
        "unit": "ms",
        "plain nginx": "-",
        "nginx front": _shown(took),
        "ratio": "-",
        "ratio by CPU": "-",
        "p50 ms, plain": "-",
        "p50 ms, front": _shown(took),
        "serve": _shown(served),
    }
    for build in older:
        row[f"front {build}"] = _shown(tally.p50(where, what, 1, f"front {build}"))
        row[f"serve {build}"] = "-"
    target = Target(f"{where}: {what}, half of the time", "at most", P50_MS.get(what, USUAL_P50_MS), " ms")
    return row, [target.judge(took)]


def _raw(key: tuple[str, str, int, str], outcomes: Sequence[Outcome]) -> dict[str, object]:
    where, what, clients, name = key
    return {
        "where": where,
        "read": what,
        "clients": clients,
        "server": name,
        "MiB/s": [round(one.mib_per_second, 1) for one in outcomes],
        "requests/s": [round(one.requests_per_second, 1) for one in outcomes],
        "p50 ms": [one.p50_ms and round(one.p50_ms, 3) for one in outcomes],
    }


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3g}" if value < 100 else f"{value:,.0f}"

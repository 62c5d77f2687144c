"""What jobs.yaml says reaches the part that acts on it."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import StoreDenied
from mirror_sync.ports.store import read_all
from mirror_sync.stores.s3.bucket_store import S3Store
from mirror_sync.wiring.program import Mirror
from tests.servers.bucket import S3Server
from tests.standin import LFS, Generated, Hub, faults
from tests.stores.places import target_on
from tests.stores.scripted import Answer, scripted

STRAY = b"nothing refers to this"
KEY = blob_key(Sha256.of(STRAY))


def _mirror(folder: Path, target: dict[str, Any], stop: threading.Event | None = None, **more: Any) -> Mirror:
    settings = {
        "version": 1,
        "state_dir": str(folder / "state"),
        "upstreams": {"local": {"kind": "directory", "url": str(folder / "upstream")}},
        "targets": {"it": target},
        "licenses": {"allow": ["mit"]},
        "jobs": [{"name": "a", "repos": ["acme/x"]}],
        **more,
    }
    path = folder / "jobs.yaml"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return Mirror(load(path, {}), stop=stop)


@pytest.mark.parametrize(("grace", "removed"), [("0s", 1), ("48h", 0)])
def test_the_grace_of_a_target_decides_what_prune_spares(tmp_path: Path, grace: str, removed: int) -> None:
    mirror = _mirror(tmp_path, {"url": str(tmp_path / "mirror"), "grace": grace})
    store = mirror._context().targets["it"].store
    store.put(KEY, STRAY, Sha256.of(STRAY))
    assert store.stat(KEY) is not None  # who asks for a blob gives it its name
    report = mirror.prune(BY_DAEMON, everything="it")
    assert (report.blobs, report.blobs + report.young) == (removed, 1)
    assert (store.stat(KEY) is None) is bool(removed)
    mirror.close()


@pytest.mark.parametrize("access", ["public", "private"])
def test_a_front_reads_a_bucket_signed_unless_it_is_public(
    radosgw: S3Server, tmp_path: Path, access: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = radosgw.make_bucket()
    S3Store(target_on(radosgw, bucket=bucket)).put(KEY, STRAY, Sha256.of(STRAY))
    everything = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    allow = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": everything}
    policy = {"Version": "2012-10-17", "Statement": [allow]}
    radosgw.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    target = {"url": f"s3://{bucket}", "endpoint_url": radosgw.endpoint_url}
    store = _mirror(tmp_path, target, front={"bucket": access}).store("it")
    if access == "public":
        assert read_all(store, KEY, 100) == STRAY
    else:
        with pytest.raises(StoreDenied):
            read_all(store, KEY, 100)


class Waits(threading.Event):
    """A stop that never comes, for which nobody waits: only how long they would have is remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.longest = max(self.longest, timeout or 0.0)
        return self.is_set()


SLOW, FAST = {"limit": "50KB/s"}, {"limit": "100MB/s"}


@pytest.mark.parametrize(
    ("top", "defaults", "own", "held"),
    [
        (None, None, None, False),
        (FAST, FAST, FAST, False),
        (SLOW, None, None, True),
        (None, SLOW, None, True),
        (None, None, SLOW, True),
        (SLOW, None, FAST, True),
        (FAST, None, SLOW, True),
        (None, SLOW, FAST, False),
        ({**FAST, "windows": [{"hours": "00:00-24:00", **SLOW}]}, None, None, True),
    ],
)
def test_a_limit_of_all_jobs_and_one_of_a_job_hold_at_once(
    tmp_path: Path, top: Any, defaults: Any, own: Any, held: bool
) -> None:
    """A file of a megabyte takes twenty seconds at the slow limit: so long its last bytes are asked to wait."""
    repo = tmp_path / "upstream" / "acme" / "x"
    repo.mkdir(parents=True)
    (repo / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    (repo / "weights.bin").write_bytes(b"w" * 1_000_000)
    job = {"name": "a", "repos": ["acme/x"], **({"bandwidth": own} if own else {})}
    more = {"bandwidth": top} if top else {}
    stop = Waits()
    mirror = _mirror(
        tmp_path,
        {"url": str(tmp_path / "mirror")},
        stop,
        defaults={"bandwidth": defaults} if defaults else {},
        jobs=[job],
        **more,
    )
    assert mirror.sync(BY_DAEMON).ok
    assert (stop.longest > 5) is held
    mirror.close()


@pytest.mark.parametrize(
    ("top", "own", "most"), [(2, [None, None], 2), (None, [1, 2], 3), (3, [1, None], 3), (1, [None, 8], 1)]
)
def test_connections_are_bounded_over_all_jobs_and_for_each(
    hub: Hub, tmp_path: Path, top: int | None, own: list[int | None], most: int
) -> None:
    seen = _most_connections(hub, tmp_path, top, own)
    assert 0 < seen <= most


def test_without_a_bound_two_jobs_have_more_connections_than_a_few(hub: Hub, tmp_path: Path) -> None:
    assert _most_connections(hub, tmp_path, None, [None, None]) > 4


def _most_connections(hub: Hub, folder: Path, top: int | None, own: list[int | None]) -> int:
    """Of the two origins the more, while two jobs run side by side whose downloads take a while each."""
    jobs = []
    for name, connections in zip("ab", own, strict=True):
        small = {f"{number}.json": f'["{name}", {number}]' for number in range(8)}
        large = {f"{number}.bin": LFS(Generated(1_200_000 + number + ord(name))) for number in range(4)}
        hub.model(f"acme/{name}", license="mit").commit({**small, **large})
        jobs.append({"name": name, "repos": [f"acme/{name}"], **({"connections": connections} if connections else {})})
    hub.faults.add(faults.delay(0.1), lambda request: request.path.endswith((".json", ".bin")))
    upstreams = {"local": {"kind": "huggingface", "endpoints": [hub.url]}}
    more: dict[str, Any] = {"connections": top} if top else {}
    mirror = _mirror(folder, {"url": str(folder / "mirror")}, upstreams=upstreams, jobs=jobs, **more)
    with ThreadPoolExecutor(2) as threads:
        reports = list(threads.map(lambda name: mirror.sync(BY_DAEMON, [name]), "ab"))
    mirror.close()
    assert all(report.ok for report in reports), [repo.reason for report in reports for repo in report.repos]
    return max(hub.most_connections("hub"), hub.most_connections("cdn"))


@pytest.mark.parametrize("signs", [True, False])
def test_the_parts_of_a_bucket_are_signed_where_its_target_says_so(tmp_path: Path, signs: bool) -> None:
    """Over plain http too: the second hash of every byte is the operator's to ask for."""
    begun = Answer(body=b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
    with scripted(lambda asked: begun if asked.method == "POST" else Answer(headers={"ETag": '"e"'})) as server:
        keys = {"access_key": "AKEY", "secret_key": "a-secret", "region": "us-east-1", "addressing": "path"}
        target = {
            "url": "s3://models",
            "endpoint_url": server.endpoint_url,
            "sign": "all" if signs else "objects",
            **keys,
        }
        _mirror(tmp_path, target)._context().targets["it"].store.begin(KEY, len(STRAY)).put(0, STRAY)
    (part,) = [asked for asked in server.asked if asked.method == "PUT"]
    assert part.headers["x-amz-content-sha256"] == (Sha256.of(STRAY) if signs else "UNSIGNED-PAYLOAD")


def test_a_token_goes_to_the_first_endpoint_alone_unless_an_entry_says_otherwise(hub: Hub, tmp_path: Path) -> None:
    """Also when the first does not answer, and somebody else's fallback does."""
    with Hub() as fallback, Hub() as trusted:
        for one in (hub, fallback, trusted):
            one.model("acme/x", license="mit").commit({"a.json": "1", "b.bin": LFS(b"2")})
            one.token("hf_first")
            one.token("hf_own")
            if one is not trusted:
                one.faults.add(faults.status(503), origin="hub")
        endpoints = [hub.url, fallback.url, {"url": trusted.url, "token": "hf_own"}]
        upstreams = {"local": {"kind": "huggingface", "endpoints": endpoints, "token": "hf_first"}}
        with closing(_mirror(tmp_path, {"url": str(tmp_path / "mirror")}, upstreams=upstreams)) as mirror:
            assert mirror.sync(BY_DAEMON).ok
        sent = [{r.request.headers.get("authorization") for r in one.log} for one in (hub, fallback, trusted)]
        assert sent == [{"Bearer hf_first"}, {None}, {"Bearer hf_own", None}]  # None: the CDN
        assert not trusted.leaks


def test_a_selection_asks_the_hub_for_what_it_says_and_for_no_more(hub: Hub, tmp_path: Path) -> None:
    card = {"license": "mit", "pipeline_tag": "text-generation"}
    for number in range(5):
        hub.model(f"Qwen/m{number}", downloads=9, likes=number, card=card, tags=["gguf"]).commit({"a": str(number)})
    for name, more in (("Qwen/no-tag", {"card": card}), ("Qwen/no-task", {"license": "mit", "tags": ["gguf"]})):
        hub.model(name, likes=99, **more).commit({"a": name})
    hub.model("Qwen/gpl", likes=99, card={**card, "license": "gpl-3.0"}, tags=["gguf"]).commit({"a": "gpl"})
    hub.model("Qwen/too-big", likes=99, card=card, tags=["gguf"]).commit({"a": "big"})
    hub.dataset("Qwen/rows", likes=99, license="mit").commit({"a": "rows"})
    select = {"author": "Qwen", "kind": "model", "sort": "likes", "limit": 2}
    select |= {"licenses": ["mit"], "tags": ["gguf"], "task": "text-generation", "without": ["too-*"]}
    upstreams = {"local": {"kind": "huggingface", "endpoints": [hub.url]}}
    jobs = [{"name": "popular", "select": select}]
    with closing(_mirror(tmp_path, {"url": str(tmp_path / "mirror")}, upstreams=upstreams, jobs=jobs)) as mirror:
        hub.log.clear()
        assert {repo.repo for repo in mirror.plan().repos} == {"Qwen/m4", "Qwen/m3"}
        assert hub.calls("GET", "/api/models") == 1
        assert {repo.repo for repo in mirror.sync(BY_DAEMON).repos} == {"Qwen/m4", "Qwen/m3"}


def test_what_failed_and_fell_out_of_a_selection_is_not_held_against_the_job(hub: Hub, tmp_path: Path) -> None:
    """What fell out and is published stays in view, and all does while the list cannot be had."""
    for number, name in enumerate(("old", "fails", "later")):
        hub.model(f"Qwen/{name}", license="mit", downloads=9 - number).commit({"a": name})
    hub.model("Qwen/fails", license="gpl-3.0")
    upstreams = {"local": {"kind": "huggingface", "endpoints": [hub.url]}}
    jobs = [{"name": "popular", "select": {"author": "Qwen", "limit": 2}}]
    with closing(_mirror(tmp_path, {"url": str(tmp_path / "mirror")}, upstreams=upstreams, jobs=jobs)) as mirror:

        def known() -> dict[str, str | None]:
            return {status.repo: status.outcome for status in mirror.remembered()[0]}

        mirror.sync(BY_DAEMON)
        assert known() == {"Qwen/old": "published", "Qwen/fails": "refused"}
        hub.model("Qwen/later", downloads=20)
        hub.model("Qwen/last", license="mit", downloads=30).commit({"a": "last"})
        _next_second()
        mirror.sync(BY_DAEMON)
        assert known() == {"Qwen/old": "unchanged", "Qwen/later": "published", "Qwen/last": "published"}
        hub.faults.add(faults.status(403), "/api/models", times=None)
        _next_second()
        mirror.sync(BY_DAEMON)
        assert set(known()) >= {"Qwen/old", "Qwen/later", "Qwen/last"}


def _next_second() -> None:
    """The history tells times in seconds."""
    time.sleep(1.01 - time.time() % 1)


def test_what_readers_asked_for_in_vain_is_brought_as_the_logs_of_fronts_tell_it(tmp_path: Path) -> None:
    """Under its name here, and by what the upstream has of it."""

    def asked(name: str, client: str) -> str:
        line = {"time": "2026-11-29T10:00:00+00:00", "client": client, "user": "", "method": "GET", "status": 404}
        more = {"uri": f"/{name}/resolve/main/config.json", "bytes": 0, "seconds": 0.1, "range": "", "commit": ""}
        return json.dumps({**line, **more, "agent": ""})

    for name in ("x", "y"):
        repo = tmp_path / "upstream/acme" / name
        repo.mkdir(parents=True)
        (repo / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    log = tmp_path / "access.log"
    lines = [asked("our-acme/y", "10.0.0.1"), asked("our-acme/y", "10.0.0.2"), asked("our-no/such", "10.0.0.3")]
    log.write_text("\n".join(lines), encoding="utf-8")
    missed = {"name": "missed", "select": {"from": "misses"}, "as": "our-{org}/{name}"}
    mirror = _mirror(tmp_path, {"url": str(tmp_path / "mirror")}, jobs=[missed])
    with closing(mirror):
        mirror.traffic("it", [str(log)])
        (plan,) = mirror.plan().repos
        assert (plan.repo, plan.chosen) == (
            "our-acme/y",
            "missed: 2 requests of 2 readers, last at 2026-11-29T10:00:00Z",
        )
        (report,) = mirror.sync(BY_DAEMON).repos
        assert (report.repo, report.outcome) == ("our-acme/y", "published")
        (mirror.settings.state_dir / "traffic-it.json").write_text("{", encoding="utf-8")
        (report,) = mirror.sync(BY_DAEMON).repos
        assert report.outcome == "failed"
        assert "what readers of target it asked for cannot be read" in report.reason

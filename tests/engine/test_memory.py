"""Memory stays bounded whatever the size of a file. Counted in a process of its own, as a user would run it."""

import json
from pathlib import Path

import pytest

from tests.peak_memory import peak_of
from tests.servers.bucket import S3Server
from tests.standin import LFS, Generated, Hub

LIMIT = 300 * 1024 * 1024  # bytes of resident memory, the interpreter included
BIG = 1024 * 1024 * 1024  # bytes


def _peak(config: Path) -> int:
    """The peak of resident memory of one `sync`, in bytes."""
    told, peak = peak_of(config, "sync", "--json")
    (repo,) = json.loads(told)["repos"]
    assert repo["fetched_bytes"] >= BIG
    return peak


def _config(folder: Path, hub: Hub, target: dict[str, str]) -> Path:
    """YAML is a superset of JSON."""
    settings = {
        "version": 1,
        "state_dir": str(folder / "state"),
        "upstreams": {"hub": {"kind": "huggingface", "endpoints": [hub.url]}},
        "targets": {"bucket": target},
        "defaults": {"upstream": "hub", "target": "bucket", "workers": 8},
        "licenses": {"allow": ["mit"]},
        "jobs": [{"name": "big", "repos": ["acme/big"]}],
    }
    path = folder / "jobs.yaml"
    path.write_text(json.dumps(settings))
    return path


@pytest.fixture
def big_hub(hub: Hub) -> Hub:
    """One file of a GiB among many of some MiB, so that large and small compete for memory."""
    small = {f"part-{number:02}.bin": LFS(Generated(9 * 1024 * 1024, seed=number)) for number in range(16)}
    hub.model("acme/big", license="mit").commit({"w.safetensors": LFS(Generated(BIG, seed=99))} | small)
    return hub


def test_a_sync_into_a_directory_stays_below_300_mib(big_hub: Hub, tmp_path: Path) -> None:
    assert _peak(_config(tmp_path, big_hub, {"url": str(tmp_path / "bucket")})) < LIMIT


def test_a_sync_into_a_bucket_stays_below_300_mib(big_hub: Hub, radosgw: S3Server, tmp_path: Path) -> None:
    target = {
        "url": f"s3://{radosgw.make_bucket()}",
        "endpoint_url": radosgw.endpoint_url,
        "access_key": radosgw.access_key,
        "secret_key": radosgw.secret_key,
    }
    assert _peak(_config(tmp_path, big_hub, target)) < LIMIT

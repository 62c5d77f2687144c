"""Kernels and spaces are mirrored as models are, and their own clients read them unmodified."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.clients.environments import ROOT, python
from tests.clients.mirror import FRONTS, WORKERS, FrontName, directory_target, run_program
from tests.servers.bucket import S3Server
from tests.servers.ports import LOOPBACK, free_port
from tests.standin import Hub

CARD = "---\nlicense: mit\n---\n"
KERNEL = {
    "README.md": CARD,
    "build/tvm-ffi01-cpu-x86_64-linux/metadata.json": json.dumps(
        {
            "id": "_twice_cpu_1",
            "name": "twice",
            "version": 1,
            "license": "MIT",
            "backend": {"type": "cpu"},
            "python-depends": [],
        }
    ),
    "build/tvm-ffi01-cpu-x86_64-linux/__init__.py": "def twice(n): return 2 * n\n",
}
METRIC = """import datasets
import evaluate

class Exact(evaluate.Metric):
    def _info(self):
        features = datasets.Features({"predictions": datasets.Value("int32"), "references": datasets.Value("int32")})
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _compute(self, predictions, references):
        return {"exact": sum(a == b for a, b in zip(predictions, references)) / len(references)}
"""


def published(hub: Hub, folder: Path, target: dict[str, str]) -> Path:
    """A job file whose target has kernels of two owners and a space."""
    for owner in ("acme", "others"):
        kernel = hub.world.repo("kernel", f"{owner}/twice")
        kernel.commit(KERNEL)
        kernel.branch("v1")
    hub.world.repo("space", "acme/exact").commit({"README.md": CARD, "exact.py": METRIC, "app.py": "print(1)\n"})
    port = free_port()
    document = {
        "state_dir": str(folder / "state"),
        "upstreams": {"hub": {"kind": "huggingface", "endpoints": [hub.url]}},
        "targets": {"bucket": target},
        "licenses": {"allow": ["mit"]},
        "front": {"listen": f"{LOOPBACK}:{port}", "kernel_publishers": ["acme"], **WORKERS},
        "jobs": [
            {"name": "kernels", "repos": ["kernel:acme/twice", "kernel:others/twice"], "revisions": ["main", "v1"]},
            {"name": "spaces", "repos": ["space:acme/*"]},
        ],
    }
    path = folder / "jobs.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    path.chmod(0o600)
    run_program("-c", path, "sync", "--json")
    return path


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("front", "bucket"), [("serve", False), ("nginx", False), ("nginx", True)])
def test_kernels_and_spaces_are_read_by_their_own_clients(
    front: FrontName, bucket: bool, hub: Hub, tmp_path: Path, radosgw: S3Server
) -> None:
    target = radosgw.place("some/prefix/") if bucket else directory_target(tmp_path)
    configuration = published(hub, tmp_path, target)
    port = json.loads(configuration.read_text())["front"]["listen"].rpartition(":")[2]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    with FRONTS[front](configuration, int(port)) as log:
        ran = subprocess.run(
            [str(python("kinds")), str(ROOT / "tests/clients/use_kinds.py")],
            env={**kept, "HF_ENDPOINT": f"http://{LOOPBACK}:{port}", "HF_HOME": str(tmp_path / "home")},
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, f"{ran.stderr[-3000:]}\n{log()}"
    assert json.loads(ran.stdout.splitlines()[-1]) == {
        "kernel": 42,
        "metric": 0.75,
        "space": ["README.md", "app.py", "exact.py"],
        "file": "---",
        "at head": True,
        "spaces": ["acme/exact"],
        "stranger": "Kernel repository 'others/twice' could not verify publisher trust status",
    }

"""The recipe of an image, and the manifest of Kubernetes that runs it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from mirror_sync.config.load import load

TOP = Path(__file__).parents[2]
RECIPE = (TOP / "packaging/Containerfile").read_text(encoding="utf-8")
OBJECTS: list[dict[str, Any]] = [*yaml.safe_load_all((TOP / "packaging/kubernetes.yaml").read_text(encoding="utf-8"))]
RUN = [one["spec"]["template"]["spec"] for one in OBJECTS if one["kind"] in {"StatefulSet", "Deployment"}]


def test_the_configuration_in_the_manifest_has_no_fault(tmp_path: Path) -> None:
    [config] = [one["data"] for one in OBJECTS if one["kind"] == "ConfigMap"]
    (tmp_path / "jobs.yaml").write_text(config["jobs.yaml"], encoding="utf-8")
    settings = load(tmp_path / "jobs.yaml", os.environ | {"S3_ACCESS_KEY": "access-key", "S3_SECRET_KEY": "secret"})
    assert settings.http.listen is not None
    ports = {port["containerPort"] for pod in RUN for port in pod["containers"][0]["ports"]}
    assert ports == {settings.front.listen.port, settings.http.listen.port}


def test_pods_run_as_the_user_of_the_image_and_write_into_volumes_alone() -> None:
    [user] = re.findall(r"^USER (\d+):\d+$", RECIPE, re.MULTILINE)
    assert f"--uid {user} " in RECIPE
    for pod in RUN:
        [container] = pod["containers"]
        assert pod["securityContext"]["runAsUser"] == int(user)
        assert container["securityContext"]["readOnlyRootFilesystem"]
        claimed = {"name": "state"}  # by the set's volumeClaimTemplates
        volumes = {volume["name"] for volume in [*pod["volumes"], claimed]}
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert {"/etc/mirror-sync", "/var/lib/mirror-sync", "/var/cache/mirror-sync", "/tmp"} <= mounts.keys()
        assert set(mounts.values()) <= volumes


def test_all_that_the_recipe_copies_is_let_into_its_build() -> None:
    copied = {name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", RECIPE, re.MULTILINE) for name in line.split()}
    ignored = (TOP / ".containerignore").read_text(encoding="utf-8")
    assert {line[1:] for line in ignored.splitlines() if line.startswith("!")} == copied
    assert all((TOP / name).exists() for name in copied)

"""The JSON Schema, the manual and the shipped jobs.yaml say what the program does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
import yaml

from mirror_sync.config.keys.schema import json_schema
from mirror_sync.config.keys.values.licenses import KNOWN
from mirror_sync.config.load import load
from mirror_sync.config.yaml.document import read
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.job.upstreams import HubUpstream, OwnUpstream
from tests.config.texts import JOBS, LICENSES, REST, TARGETS, settings

TOP = Path(__file__).parents[2]
SHIPPED = TOP / "jobs.yaml"
SCHEMA = json_schema()


def rules() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for shape, body in (("File", SCHEMA), *SCHEMA["$defs"].items()):
        for key, rule in body.get("properties", {}).items():
            yield shape, key, rule


def test_every_key_has_a_description_and_an_example() -> None:
    assert [key for _, key, rule in rules() if not (rule.get("description") and rule.get("examples"))] == []


@pytest.mark.parametrize("rule", [pytest.param(rule, id=f"{shape}.{key}") for shape, key, rule in rules()])
def test_every_example_is_what_the_key_takes(rule: dict[str, Any]) -> None:
    """That the schema is one is proved below, once: not anew for each key, which takes a hundred times as long."""
    validator = jsonschema.Draft202012Validator({**rule, "$defs": SCHEMA["$defs"]})
    for example in rule["examples"]:
        validator.validate(example)


def test_the_committed_schema_is_the_true_one() -> None:
    committed = json.loads((TOP / "docs/jobs.schema.json").read_text(encoding="utf-8"))
    assert committed == SCHEMA, "write it anew: mirror-sync check --schema > docs/jobs.schema.json"


def test_the_schema_is_a_schema_and_accepts_the_shipped_file_as_an_editor_sees_it() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(read(SHIPPED).value)


@pytest.mark.parametrize(
    "text",
    [
        f"{REST}{JOBS}zzz: 1",
        f"{REST}jobs: []",
        f"{REST}jobs: [{{name: a, repos: [a/b], schedule: {{every: 6h, cron: x}}}}]",
        f"{REST}jobs: [{{name: a, repos: [a/b], workers: 65}}]",
        f"{REST}jobs: [{{name: a, repos: null}}]",
        f"{TARGETS}{LICENSES}{JOBS}upstreams: {{a: {{kind: directory, url: x, token: y}}}}",
    ],
)
def test_the_schema_refuses_what_the_program_refuses(text: str) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert not validator.is_valid(yaml.safe_load(text))
    assert validator.is_valid(yaml.safe_load(REST + JOBS))


def test_the_shipped_file_is_usable_as_it_is_and_short() -> None:
    found = load(SHIPPED, {})
    assert found.warnings == ()
    assert found.state_dir == TOP / "var/state"
    own = OwnUpstream("./var/own", DirectoryTarget(TOP / "var/own"))
    assert found.upstreams == {"hub": HubUpstream(("https://huggingface.co",)), "ours": own}
    assert found.targets == {"mirror": DirectoryTarget(TOP / "var/mirror")}
    assert [str(repo) for job in found.jobs for repo in job.repos] == [
        "sentence-transformers/all-MiniLM-L6-v2",
        "BAAI/bge-small-en-v1.5",
        "dataset:openai/gsm8k",
    ]
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# yaml-language-server: $schema=./docs/jobs.schema.json"
    assert len(lines) <= 75


def test_the_environment_moves_the_shipped_file_elsewhere(tmp_path: Path) -> None:
    found = load(
        SHIPPED,
        {
            "MIRROR_UPSTREAM": "http://127.0.0.1:5000",
            "MIRROR_TARGET": f"file://{tmp_path}/m",
            "MIRROR_STATE": f"{tmp_path}/s",
            "MIRROR_OWN": f"file://{tmp_path}/o",
            "MIRROR_LISTEN": "127.0.0.1:8081",
            "HF_TOKEN": "hf_x",
        },
    )
    assert found.upstreams["hub"] == HubUpstream(("http://127.0.0.1:5000",), "hf_x")
    assert found.upstreams["ours"].pushed_into == DirectoryTarget(tmp_path / "o")
    assert found.targets == {"mirror": DirectoryTarget(tmp_path / "m")}
    assert (found.state_dir, found.front.listen.port, found.secrets) == (tmp_path / "s", 8081, ("hf_x",))


def test_every_licence_the_hub_is_known_to_use_loads_without_a_warning() -> None:
    allowed = sorted(KNOWN - {"other", "unknown"})
    text = f"{REST}{JOBS}".replace("[mit]", str(allowed))
    assert settings(text).warnings == ()

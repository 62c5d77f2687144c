"""The tables of the manual say of every key what the model says: its row, its type, its default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from mirror_sync.config.keys.schema import json_schema

SCHEMA = json_schema()
SHAPES = {"File": SCHEMA} | {name: body for name, body in SCHEMA["$defs"].items() if "properties" in body}
SECTIONS = {
    "The file as a whole": ("File",),
    "upstreams": ("HubEntry", "DirectoryEntry", "ModelScopeEntry"),
    "several endpoints": ("EndpointEntry",),
    "own": ("OwnEntry",),
    "another mirror": ("MirrorEntry",),
    "timeouts": ("TimeoutsEntry",),
    "targets": ("FolderEntry", "BucketEntry", "FolderPlace", "BucketPlace"),
    "replicas": ("FolderReplicaEntry", "BucketReplicaEntry"),
    "keep": ("KeepEntry",),
    "tiers": ("TiersEntry", "ColdEntry"),
    "front": ("FrontEntry", "TlsEntry", "LimitsEntry", "CacheEntry", "OciEntry", "TorrentsEntry", "WatchEntry"),
    "on": ("OnEntry", "CommandEntry", "PostEntry"),
    "http": ("HttpEntry",),
    "ha": ("HaEntry",),
    "engine": ("EngineEntry",),
    "traces": ("TracesEntry",),
    "site": ("CatalogueEntry", "AskEntry"),
    "maintenance": ("MaintenanceEntry", "VerifyEntry", "PruneEntry"),
    "access": ("AccessEntry", "RoleEntry", "NetworksEntry"),
    "trust": ("TrustEntry", "ModelSigningEntry"),
    "licenses": ("LicensesEntry", "ApprovalEntry"),
    "policy": ("PolicyEntry", "RestrictedEntry", "FormatsEntry", "ScanEntry"),
    "jobs": ("JobEntry", "DefaultsEntry"),
    "select": ("SelectEntry",),
    "variants": ("VariantsEntry",),
    "transform": ("TransformEntry",),
    "bandwidth, connections": ("BandwidthEntry", "WindowEntry"),
    "guard, on_gone, retention": ("GuardEntry", "RetentionEntry"),
    "channels": ("ChannelEntry",),
    "rollout": ("RolloutEntry", "OnBadEntry"),
    "schedule": ("EveryEntry", "CronEntry"),
}
KEYS = [
    pytest.param(section, shape, key, id=f"{shape}.{key}")
    for section, shapes in SECTIONS.items()
    for shape in shapes
    for key in SHAPES[shape]["properties"]
]


class Row(NamedTuple):
    key: str
    type: str
    default: str


@cache
def rows(section: str) -> list[Row]:
    """Of all tables of keys of a section."""
    (manual,) = Path(__file__).parents[2].glob("docs/**/configuration.md")
    text = re.split(r"^##+ (.+)$", manual.read_text(encoding="utf-8"), flags=re.MULTILINE)
    body = dict(zip(text[1::2], text[2::2], strict=True))[section]
    return [Row(*found) for found in re.findall(r"^\| `(\w+)` \| ([^|]*) \| ?([^|]*?) ?\| .+ \|$", body, re.MULTILINE)]


def missing_words(rule: dict[str, Any], said: str) -> Iterator[str]:
    """What a type's cell should say of a rule, and does not."""
    if "$ref" in rule:
        rule = SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]]
    choices = [choice for choice in rule.get("anyOf", ()) if choice.get("pattern") != r"^\$\{"]  # a variable gives any
    if any(choice.get("type") == "boolean" for choice in choices):
        words = said.partition(", or ")[0]  # what else may stand there
        yield from () if words in {"`true` or `false`", "`on` or `off`"} else ("`true` or `false`",)
        return
    for choice in choices:
        yield from missing_words(choice, said)
    values = [*rule.get("enum", ()), *([rule["const"]] if "const" in rule else ())]
    yield from (f"`{value}`" for value in values if f"`{value}`" not in said and f'`"{value}"`' not in said)
    wanted = {"array": "list", "object": "mapping"}.get(rule.get("type", ""))
    if rule.get("type") == "integer":
        wanted = f"{rule['minimum']} to {rule['maximum']}"
    if wanted and wanted not in said:
        yield wanted


def is_default(rule: dict[str, Any], said: str, *, required: bool) -> bool:
    """Whether a default's cell says what the rule does; of what is not in the schema, only that it is not needed."""
    if required:
        return said.startswith("needed")  # perhaps in place of another key
    if "default" not in rule:
        return said != "needed"
    if said == "none":
        return bool(rule["default"] == [])
    shown = re.fullmatch(r"`(.+)`", said)
    return shown is not None and bool(yaml.safe_load(shown[1]) == rule["default"])


@pytest.mark.parametrize(("section", "shape", "key"), KEYS)
def test_every_key_has_a_row_with_its_type_and_its_default(section: str, shape: str, key: str) -> None:
    rule, required = SHAPES[shape]["properties"][key], key in SHAPES[shape].get("required", ())
    found = [row for row in rows(section) if row.key == key]
    assert found, f"write a row for `{key}` under {section}"
    assert any(
        not [*missing_words(rule, row.type)] and is_default(rule, row.default, required=required) for row in found
    ), f"{found} should say {[*missing_words(rule, found[0].type)]}, default {rule.get('default', '')!r}"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_row_is_a_key(section: str) -> None:
    known = {key for shape in SECTIONS[section] for key in SHAPES[shape]["properties"]}
    assert [row.key for row in rows(section) if row.key not in known] == []


def test_every_mapping_of_the_format_has_its_section() -> None:
    assert sorted(SHAPES) == sorted(shape for shapes in SECTIONS.values() for shape in shapes)

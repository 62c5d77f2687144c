"""Every piece of jobs.yaml that a document shows is one that `check` finds nothing wrong with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirror_sync.config.keys.schema import json_schema
from mirror_sync.config.load import load
from mirror_sync.errors import ConfigError
from tests.config.texts import LICENSES
from tests.test_documents import DOCUMENTS, ROOT

SCHEMA = json_schema()
OF_FILE = SCHEMA["properties"].keys() - {"version"}
OF_JOB = SCHEMA["$defs"]["JobEntry"]["properties"].keys()
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_PLACEHOLDER = re.compile(r"\.\.\.|(?<![\w${])[A-Z]{3,}\b|\|")  # `trust: {key: FILE}`
AROUND = f"""
upstreams:
  hub: {{kind: huggingface}}
  hf: {{kind: huggingface}}
  ms: {{kind: modelscope}}
  ours: {{kind: own, url: file:///srv/own}}
targets: {{main: {{url: ./models}}}}
http: {{front_secret: secret-of-fronts, webhook_secret: secret-of-hubs}}
jobs: [{{name: one, repos: [acme/one]}}]
{LICENSES}
"""
TOO = {"front": {"url": "https://models.example.org"}, "engine": {"address": "tcp://scheduler:8786"}}
"""What an entry wants that a document tells elsewhere: only where the entry is shown."""


def shown(text: str) -> Iterator[dict[str, Any]]:
    """The blocks, and what is quoted as `front: {oci: true}`, but what only says which keys there are."""
    for indent, language, block in _BLOCK.findall(text):
        if language == "yaml":
            yield _read(re.sub(f"^{indent}", "", block, flags=re.MULTILINE))
    for span in _SPAN.findall(_BLOCK.sub("", text)):
        line = " ".join(span.split())
        key, _, value = line.partition(": ")
        if key in OF_FILE and value[:1] in {"{", "["} and not _PLACEHOLDER.search(value):
            piece = _read(line)
            if None not in _leaves(piece):  # `front: {tls: {certificate, key}}`
                yield piece


def whole(piece: Mapping[str, Any]) -> dict[str, Any]:
    """A file with the piece, and around it what such a file has."""
    file: dict[str, Any] = yaml.safe_load(AROUND)
    if piece.keys() <= OF_FILE | {"version"}:
        file |= {key: value | TOO[key] | value if key in TOO else value for key, value in piece.items()}
    else:  # of a job
        assert piece.keys() <= OF_JOB
        file["jobs"][0] |= piece
    named = {name: next(iter(file[f"{name}s"])) for name in ("upstream", "target")}
    return file | {"version": 1, "defaults": named | file.get("defaults", {})}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_check_takes_what_it_shows(document: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_x", encoding="utf-8")
    known = {"TOKEN_FOLDER": str(tmp_path), "SLACK_URL": "https://x.org/y"}
    path, decisions = tmp_path / "jobs.yaml", tmp_path / "decisions.yaml"
    for piece in shown(document.read_text(encoding="utf-8")):
        decisions.unlink(missing_ok=True)
        if isinstance(piece.get("decisions"), list):  # that file's own
            decisions.write_text(yaml.safe_dump(piece), encoding="utf-8")
            piece = {"decisions": "./decisions.yaml"}  # noqa: PLW2901
        path.write_text(yaml.safe_dump(whole(piece)), encoding="utf-8")
        names = re.findall(r"\$\{(\w+)", path.read_text(encoding="utf-8"))
        load(path, dict.fromkeys(names, "secret-1234") | known)


def test_a_fault_in_what_a_document_shows_is_found(tmp_path: Path) -> None:
    text = (
        "`front: {oci: true}`, `front: {oci, s3}`, `front: {url: HOST}`\n```yaml\nchannels: {stable: {form: a}}\n```\n"
    )
    channels, door = shown(text)
    path = tmp_path / "jobs.yaml"
    path.write_text(yaml.safe_dump(whole(door)), encoding="utf-8")
    assert load(path, {}).front.oci
    path.write_text(yaml.safe_dump(whole(channels)), encoding="utf-8")
    with pytest.raises(ConfigError, match="form: this key is not known"):
        load(path, {})


def _read(text: str) -> dict[str, Any]:
    """YAML 1.1, as pyyaml reads it, takes `on` for true."""
    return {"on" if key is True else key: value for key, value in yaml.safe_load(text).items()}


def _leaves(value: object) -> list[object]:
    inner = [*value.values()] if isinstance(value, dict) else value
    return [leaf for one in inner for leaf in _leaves(one)] if isinstance(inner, list) else [inner]

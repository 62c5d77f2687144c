"""The single values of jobs.yaml as pydantic types: how each is read, and what an editor is told about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticKnownError

from mirror_sync.config import addresses, figures, times
from mirror_sync.config.findings import meant, quoted
from mirror_sync.config.licenses import allowed_id, license_id
from mirror_sync.domain.repo import Repo, RepoPattern

Read = TypeVar("Read")

_MAX_WORKERS = 64
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")
_NO_REF = re.compile(r"[\s~^:\\\x00-\x1f\x7f]|\.\.|^[/-]|/$")  # git check-ref-format, less what a glob needs
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,30}\$?")
_TEXT = WithJsonSchema({"type": "string"})


def _from_text(read: Callable[[str], Read]) -> PlainValidator:
    """Reads text, and nothing else."""

    def validate(value: object) -> Read:
        if not isinstance(value, str):
            raise PydanticKnownError("string_type")
        return read(value)

    return PlainValidator(validate)


def name(text: str) -> str:
    """A name that works as a word of a command line, a label of a metric, a part of a path."""
    if NAME.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is no name; write up to 64 letters, digits, '.', '_' or '-', no spaces")
    return text


def word(text: str) -> str:
    """Text without spaces; empty for not given."""
    if not text.isprintable() or " " in text:
        raise ValueError(f"{quoted(text)} must be one word")
    return text


def sentence(text: str) -> str:
    """Text that says something."""
    if not text.strip():
        raise ValueError("is empty; write a few words")
    return text.strip()


def path(text: str) -> str:
    """A plain path."""
    return addresses.folder(text).path


def revision(text: str) -> str:
    """A branch, a tag, a glob of them or a commit id."""
    if not text or _NO_REF.search(text):
        raise ValueError(f"{quoted(text)} is no branch, tag, glob or commit id; write main, v1.0 or v1.*")
    return text


def pattern(text: str) -> str:
    """A glob over whole paths of files."""
    if not text.strip() or text.startswith(("/", "./")):
        raise ValueError(f"{quoted(text)} matches no path; write *.safetensors, onnx/* or onnx/")
    return text


def server(text: str) -> str:
    """The address of an S3-compatible store; empty for AWS's own."""
    return addresses.endpoint(text, "http://127.0.0.1:9000") if text else ""


def front(text: str) -> str:
    """The address at which clients find a front; empty for not given."""
    return addresses.front(text) if text else ""


def account(text: str) -> str:
    """The name of a user of the machine; empty for not given."""
    if text and _ACCOUNT.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is no name of a user; write www-data")
    return text


def workers(value: object) -> int:
    """A whole number in bounds; as text when it came from a variable."""
    figure = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,4}", value) else value
    if not isinstance(figure, int) or isinstance(figure, bool) or not 1 <= figure <= _MAX_WORKERS:
        raise ValueError(f"must be a whole number from 1 to {_MAX_WORKERS}, like 8")
    return figure


def version(value: object) -> int:
    """The only version of the format there is."""
    if isinstance(value, bool) or value not in {1, "1"} if isinstance(value, int | str) else True:
        raise ValueError("this program reads version 1; write version: 1")
    return 1


def hub_kind(value: object) -> object:
    """The kind of an upstream that is not a directory."""
    if not isinstance(value, str):
        raise ValueError("must be huggingface or directory")  # noqa: TRY004  pydantic takes ValueError
    if value != "huggingface":
        hint = meant(value, ["huggingface", "directory"]) or "; write huggingface or directory"
        raise ValueError(f"{quoted(value)} is no kind of upstream{hint}")
    return value


_VARIABLE: dict[str, Any] = {"type": "string", "pattern": r"^\$\{"}
Name = Annotated[str, _from_text(name), _TEXT]
Word = Annotated[str, _from_text(word), _TEXT]
Sentence = Annotated[str, _from_text(sentence), _TEXT]
FilePath = Annotated[str, _from_text(path), _TEXT]
HubKind = Annotated[Literal["huggingface"], BeforeValidator(hub_kind)]
DirectoryKind = Literal["directory"]
Endpoint = Annotated[str, _from_text(partial(addresses.endpoint)), _TEXT]
ServerUrl = Annotated[str, _from_text(server), _TEXT]
FrontUrl = Annotated[str, _from_text(front), _TEXT]
SchedulerAddress = Annotated[str, _from_text(addresses.scheduler), _TEXT]
Account = Annotated[str, _from_text(account), _TEXT]
FolderUrl = Annotated[addresses.Folder, _from_text(addresses.folder), _TEXT]
BucketUrl = Annotated[addresses.Bucket, _from_text(addresses.bucket), _TEXT]
ListenAddress = Annotated[addresses.Listen, _from_text(addresses.listen), _TEXT]
Interval = Annotated[timedelta, PlainValidator(times.interval), _TEXT]
Duration = Annotated[timedelta, PlainValidator(times.duration), _TEXT]
Rate = Annotated[int, PlainValidator(figures.rate), _TEXT]
Share = Annotated[float, PlainValidator(figures.share), _TEXT]
Reserve = Annotated[float, PlainValidator(partial(figures.share, most=90)), _TEXT]  # some must be left for us
Count = Annotated[
    int,
    PlainValidator(figures.count),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0, "maximum": 999_999}, _VARIABLE]}),
]
Switch = Annotated[bool, PlainValidator(figures.switch), WithJsonSchema({"anyOf": [{"type": "boolean"}, _VARIABLE]})]
Crontab = Annotated[str, _from_text(times.crontab), _TEXT]
Zone = Annotated[str, _from_text(times.zone), _TEXT]
RepoGlob = Annotated[RepoPattern, _from_text(RepoPattern.parse), _TEXT]
RepoId = Annotated[Repo, _from_text(Repo.parse), _TEXT]
Revision = Annotated[str, _from_text(revision), _TEXT]
PathGlob = Annotated[str, _from_text(pattern), _TEXT]
LicenseId = Annotated[str, _from_text(license_id), _TEXT]
AllowedId = Annotated[str, _from_text(allowed_id), _TEXT]
Workers = Annotated[
    int,
    PlainValidator(workers),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": _MAX_WORKERS}, _VARIABLE]}),
]
Version = Annotated[int, PlainValidator(version), WithJsonSchema({"const": 1})]

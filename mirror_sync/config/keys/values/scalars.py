"""The single values of jobs.yaml as pydantic types: how each is read, and what an editor is told about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, PlainValidator, SecretStr, WithJsonSchema
from pydantic_core import PydanticKnownError

from mirror_sync.config.findings import quoted
from mirror_sync.config.keys.values import address_values, quantities, time_values
from mirror_sync.config.keys.values.licenses import allowed_id, license_id
from mirror_sync.domain.content.refs import name_fault
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.segment_gauge import MOST
from mirror_sync.domain.repo import Denial, PublishedAs, Repo, RepoPattern, parse_entry, unclosed
from mirror_sync.domain.url import Url

Read = TypeVar("Read")

_MAX_WORKERS = 64
_MAX_CONNECTIONS = 256
_MAX_ANSWERS = 4096
AUTO = "auto"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")
_GLOB = re.compile(r"[*?\[]")
_NO_REF = re.compile(r"[\s~^:\\\x00-\x1f\x7f]|\.\.|^[/-]|/$")  # git check-ref-format, less what a glob needs
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,30}\$?")
_CLASS = re.compile(r"[A-Z][A-Z0-9_\-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
TEXT = WithJsonSchema({"type": "string"})


def from_text(read: Callable[[str], Read]) -> PlainValidator:
    """Reads text, and nothing else. Of a number that no quotes would make right, the fault is that of the text."""

    def validate(value: object) -> Read:
        if isinstance(value, int | float):
            read(str(value).lower())
        if not isinstance(value, str):
            raise PydanticKnownError("string_type")
        return read(value)

    return PlainValidator(validate)


def name(text: str) -> str:
    """A name that works as a word of a command line, a label of a metric, a part of a path."""
    if NAME.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is no name; write up to 64 letters, digits, '.', '_' or '-', no spaces")
    return text


def segments(value: object) -> int | Literal["auto"]:
    """A number of segments of one file, or that they are to be found."""
    try:
        return "auto" if value == AUTO else several(value, most=MOST)
    except ValueError:
        raise ValueError(f"must be auto or a whole number from 1 to {MOST}, like 8") from None


def word(text: str) -> str:
    """Text without spaces; empty for not given."""
    if not text.isprintable() or " " in text:
        raise ValueError(f"{quoted(text)} must be one word")
    return text


def storage_class(text: str) -> str:
    """A class of storage of a bucket, that is not the one that objects have anyway."""
    if _CLASS.fullmatch(text) is None or text == "STANDARD":
        raise ValueError(f"{quoted(text)} is no colder class of storage; write GLACIER_IR, STANDARD_IA, GLACIER, ...")
    return text


def accepted(text: str) -> str:
    """What a hold spells out: the `_id` of a repo, `*` for any; or a move of a name, by both of its commits."""
    ends = text.partition("..")
    if ends[1] and not (CommitId.matches(ends[0]) and CommitId.matches(ends[2])):
        raise ValueError(f"{quoted(text)} is no move of a name; write both commits whole, as the reason does")
    if not text or "/" in text:
        raise ValueError(f"{quoted(text)} is no _id of a repo; write it as the reason of the hold does, or '*' for any")
    return word(text)


def sentence(text: str) -> str:
    """Text that says something."""
    if not text.strip():
        raise ValueError("is empty; write a few words")
    return text.strip()


def revision(text: str) -> str:
    """A branch, a tag, a glob of them or a commit id."""
    if unclosed(text):
        raise ValueError(f"{quoted(text)} has a [ without its ]; write v1.*, or v[12] for one of some characters")
    if not text or _NO_REF.search(text) or (not _GLOB.search(text) and name_fault(text)):
        raise ValueError(f"{quoted(text)} is no branch, tag, glob or commit id; write main, v1.0 or v1.*")
    return text


def pattern(text: str) -> str:
    """A glob over whole paths of files."""
    if not text.strip() or text.startswith(("/", "./")):
        raise ValueError(f"{quoted(text)} matches no path; write *.safetensors, onnx/* or onnx/")
    return text


def server(text: str) -> str:
    """The address of an S3-compatible store; empty for AWS's own."""
    return address_values.endpoint(text, "http://127.0.0.1:9000") if text else ""


def front(text: str) -> str | None:
    """The address at which clients find a front; empty for not given."""
    return address_values.front(text) if text else None


def behind(text: str) -> str | None:
    """The address of a server behind another one; empty for none."""
    return address_values.behind(text) if text else None


def origins(value: object) -> tuple[str, ...]:
    """`*` for any, `off` for none, else a list of at least one."""
    if value in {"*", "off"} if isinstance(value, str) else value is False:
        return ("*",) if value == "*" else ()
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise ValueError('must be "*", off, or a list of origins; write cors: ["https://app.example.org"]')
    return tuple(dict.fromkeys(map(address_values.origin, value)))


def argument(text: str) -> str:
    """A word of a command line."""
    if "\0" in text:
        raise ValueError("holds a NUL, which no command line can")
    return text


def variable(text: str) -> str:
    """The name of a variable of the environment."""
    if not _VARIABLE.fullmatch(text):
        raise ValueError(f"{quoted(text)} is no name of a variable; write its name alone, like TICKET_TOKEN")
    return text


def _hook_url(secret: SecretStr) -> SecretStr:
    """The address of a webhook; it is never repeated."""
    try:
        Url.parse(secret.get_secret_value())
    except ValueError:
        raise ValueError("is no address; write https://hooks.example.org/...") from None
    return secret


def own_listen(text: str) -> address_values.Listen | None:
    """Where the daemon's own HTTP listens; None for nowhere."""
    try:
        return None if text == "none" else address_values.listen(text, 9108)
    except ValueError as error:
        raise ValueError(f"{error}, or none") from error


def account(text: str) -> str | None:
    """The name of a user of the machine; empty for not given."""
    if text and _ACCOUNT.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is no name of a user; write www-data")
    return text or None


def several(value: object, most: int, like: int = 8) -> int:
    """A whole number in bounds; as text when it came from a variable."""
    figure = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,4}", value) else value
    if not isinstance(figure, int) or isinstance(figure, bool) or not 1 <= figure <= most:
        raise ValueError(f"must be a whole number from 1 to {most}, like {like}")
    return figure


def version(value: object) -> int:
    """The only version of the format there is."""
    if isinstance(value, bool) or value not in {1, "1"} if isinstance(value, int | str) else True:
        raise ValueError("this program reads version 1; write version: 1")
    return 1


HOOK_URL = AfterValidator(_hook_url)
VARIABLE: dict[str, Any] = {"type": "string", "pattern": r"^\$\{"}
Name = Annotated[str, from_text(name), TEXT]
Word = Annotated[str, from_text(word), TEXT]
StorageClass = Annotated[str, from_text(storage_class), TEXT]
Sentence = Annotated[str, from_text(sentence), TEXT]
Accepted = Annotated[str, from_text(accepted), TEXT]
FilePath = Annotated[str, from_text(address_values.folder), TEXT]
PlaceFolder = Annotated[str, from_text(partial(address_values.folder, right=address_values.PLACES)), TEXT]
Endpoint = Annotated[str, from_text(partial(address_values.endpoint)), TEXT]
ServerUrl = Annotated[str, from_text(server), TEXT]
Tracker = Annotated[str, from_text(address_values.tracker), TEXT]
FrontUrl = Annotated[str | None, from_text(front), TEXT]
PageUrl = Annotated[str, from_text(address_values.page), TEXT]
BehindUrl = Annotated[str | None, from_text(behind), TEXT]
Variable = Annotated[str, from_text(variable), TEXT]
Argument = Annotated[str, from_text(argument), TEXT]
SchedulerAddress = Annotated[str, from_text(address_values.scheduler), TEXT]
Account = Annotated[str | None, from_text(account), TEXT]
BucketUrl = Annotated[address_values.BucketAddress, from_text(address_values.bucket), TEXT]
ListenAddress = Annotated[address_values.Listen, from_text(address_values.listen), TEXT]
OwnListen = Annotated[address_values.Listen | None, from_text(own_listen), TEXT]
Interval = Annotated[timedelta, PlainValidator(time_values.interval), TEXT]
Duration = Annotated[timedelta, PlainValidator(time_values.duration), TEXT]
Size = Annotated[int, PlainValidator(quantities.size), WithJsonSchema({"anyOf": [{"type": "string"}, {"const": 0}]})]
Room = Annotated[int, PlainValidator(quantities.room), TEXT]
Requests = Annotated[int, PlainValidator(quantities.requests), TEXT]
Rate = Annotated[int, PlainValidator(quantities.rate), TEXT]
Share = Annotated[float, PlainValidator(quantities.share), TEXT]
Part = Annotated[float, PlainValidator(quantities.part), TEXT]
Reserve = Annotated[float, PlainValidator(partial(quantities.share, most=90)), TEXT]  # some must be left for us
Count = Annotated[
    int,
    PlainValidator(quantities.count),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0, "maximum": 999_999}, VARIABLE]}),
]
Switch = Annotated[
    bool,
    PlainValidator(quantities.switch),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": ["on", "off"]}, VARIABLE]}),
]
Origins = Annotated[
    tuple[str, ...],
    PlainValidator(origins),
    WithJsonSchema(
        {"anyOf": [{"enum": ["*", "off"]}, {"type": "array", "items": {"type": "string"}, "minItems": 1}, VARIABLE]}
    ),
]
Crontab = Annotated[str, from_text(time_values.crontab), TEXT]
Zone = Annotated[str, from_text(time_values.zone), TEXT]
PublishedNames = Annotated[PublishedAs, from_text(PublishedAs.parse), TEXT]
RepoEntry = Annotated[RepoPattern | Denial, from_text(parse_entry), TEXT]
RepoId = Annotated[Repo, from_text(Repo.parse), TEXT]
Revision = Annotated[str, from_text(revision), TEXT]
PathGlob = Annotated[str, from_text(pattern), TEXT]
LicenseId = Annotated[str, from_text(license_id), TEXT]
AllowedId = Annotated[str, from_text(allowed_id), TEXT]
Workers = Annotated[
    int,
    PlainValidator(partial(several, most=_MAX_WORKERS)),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": _MAX_WORKERS}, VARIABLE]}),
]
Connections = Annotated[
    int,
    PlainValidator(partial(several, most=_MAX_CONNECTIONS)),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": _MAX_CONNECTIONS}, VARIABLE]}),
]
Answers = Annotated[
    int,
    PlainValidator(partial(several, most=_MAX_ANSWERS, like=64)),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": _MAX_ANSWERS}, VARIABLE]}),
]
Segments = Annotated[
    int | Literal["auto"],
    PlainValidator(segments),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST}, {"const": AUTO}, VARIABLE]}),
]
Version = Annotated[int, PlainValidator(version), WithJsonSchema({"const": 1})]

"""Which repos of an author a job takes by what the Hub counts."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from mirror_sync.config.findings import quoted
from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import Keys
from mirror_sync.config.keys.values.licenses import license_id
from mirror_sync.domain.job.ranking import MOST_RANKED, Ranking, Sort
from mirror_sync.domain.policy.licences import NAMED_ONLY
from mirror_sync.domain.repo import Kind, Repo, RepoPattern


def _author(text: str) -> str:
    try:
        name = Repo(Kind.MODEL, text).id
    except ValueError:
        name = ""
    if not name or "/" in name:
        raise ValueError(f"{quoted(text)} is no author; write one user or organization, like Qwen")
    return name


def _tag(text: str) -> str:
    if not text.strip() or "," in text or not text.isprintable():
        raise ValueError(f"{quoted(text)} is no tag; write one tag of the Hub, like transformers")
    return text.strip()


def _license(text: str) -> str:
    """The Hub can only be asked for its own ids."""
    found = license_id(text)
    if ":" in found or found in NAMED_ONLY:
        raise ValueError(f"{quoted(text)} is no licence that a list can be asked for; write an id like apache-2.0")
    return found


def _left_out(text: str) -> str:
    """A name below the author, or a glob of them."""
    try:
        sound = "/" not in text and bool(RepoPattern.parse(f"author/{text}"))
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"{quoted(text)} is no name of a repo; write it without its author, like *-GGUF")
    return text


Author = Annotated[str, scalars.from_text(_author), scalars.TEXT]
RepoName = Annotated[str, scalars.from_text(_left_out), scalars.TEXT]
Tag = Annotated[str, scalars.from_text(_tag), scalars.TEXT]
HubLicense = Annotated[str, scalars.from_text(_license), scalars.TEXT]
Limit = Annotated[
    int,
    PlainValidator(partial(scalars.several, most=MOST_RANKED, like=20)),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_RANKED}, scalars.VARIABLE]}),
]


class SelectEntry(Keys):
    """The first repos of an author, asked for anew at each run."""

    author: Author = Field(description="A user or an organization of the Hub.", examples=["Qwen"])
    kind: Literal[Kind.MODEL, Kind.DATASET] = Field(
        default=Kind.MODEL, description="Models or datasets.", examples=["model"]
    )
    sort: Sort = Field(
        default=Sort.DOWNLOADS,
        description="By what the Hub ranks them, the highest or newest first.",
        examples=["downloads"],
    )
    limit: Limit = Field(default=20, description="How many of them: the first so many.", examples=[20])
    licenses: tuple[HubLicense, ...] | None = Field(
        default=None,
        min_length=1,
        description="Only repos with one of these licences take a place; of any when left out. licenses still decides.",
        examples=[["apache-2.0", "mit"]],
    )
    tags: tuple[Tag, ...] | None = Field(
        default=None,
        min_length=1,
        description="Only repos with all of these tags of the Hub: a library, a language, a format.",
        examples=[["transformers", "safetensors"]],
    )
    task: Tag | None = Field(
        default=None, description="Only repos for this task of the Hub.", examples=["text-generation"]
    )
    without: tuple[RepoName, ...] | None = Field(
        default=None,
        min_length=1,
        description="Names of the author's repos, or globs of them, that take no place and are left alone.",
        examples=[["*-GGUF", "Qwen3-235B*"]],
    )

    @property
    def ranking(self) -> Ranking:
        """What is written, as the domain's value; what is named twice counts once."""
        return Ranking(
            pattern=RepoPattern(self.kind, f"{self.author}/*"),
            sort=self.sort,
            limit=self.limit,
            licenses=tuple(dict.fromkeys(self.licenses or ())),
            tags=tuple(dict.fromkeys(self.tags or ())),
            task=self.task,
            without=tuple(RepoPattern(self.kind, f"{self.author}/{name}") for name in self.without or ()),
        )

"""Which repos of an author, of all there are, or of what readers ask for a job takes by what is counted of them."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from mirror_sync.config.findings import quoted
from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import Keys
from mirror_sync.config.keys.values.licenses import license_id
from mirror_sync.domain.job.ranking import MOST_RANKED, Demand, Ranking, Sort
from mirror_sync.domain.policy.licences import NAMED_ONLY
from mirror_sync.domain.repo import EVERYTHING, Kind, Repo, RepoPattern


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
    """A name below an author, or a glob of them; with its author where repos of all are meant."""
    try:
        sound = bool(RepoPattern.parse(text if "/" in text else f"author/{text}"))
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"{quoted(text)} is no name of a repo; write it without its author, like *-GGUF")
    return text


def _sort(value: Any) -> Any:
    """The word of its pages, too."""
    return Sort.TRENDING if value == "trending" else value


Author = Annotated[str, scalars.from_text(_author), scalars.TEXT]
RepoName = Annotated[str, scalars.from_text(_left_out), scalars.TEXT]
Tag = Annotated[str, scalars.from_text(_tag), scalars.TEXT]
HubLicense = Annotated[str, scalars.from_text(_license), scalars.TEXT]
Clients = Annotated[
    int,
    PlainValidator(partial(scalars.several, most=9999, like=2)),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9999}, scalars.VARIABLE]}),
]
Limit = Annotated[
    int,
    PlainValidator(partial(scalars.several, most=MOST_RANKED, like=20)),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_RANKED}, scalars.VARIABLE]}),
]


class SelectEntry(Keys):
    """The first repos of an author, of the whole hub, or of what readers ask for; asked for anew at each run."""

    author: Author | None = Field(
        default=None,
        description="A user or an organization of the Hub; of all when left out, beside sort or from.",
        examples=["Qwen"],
    )
    demand: Demand | None = Field(
        default=None,
        alias="from",
        description="misses: what readers of the target asked for in vain, as mirror-sync traffic counted it; traffic: "
        "also what they read. What more of them ask for comes first.",
        examples=["misses"],
    )
    clients: Clients | None = Field(
        default=None,
        description="Beside from: only what at least so many readers asked for; 1 when left out.",
        examples=[2],
    )
    kind: Literal[Kind.MODEL, Kind.DATASET] = Field(
        default=Kind.MODEL, description="Models or datasets.", examples=["model"]
    )
    sort: Annotated[
        Sort, BeforeValidator(_sort), WithJsonSchema({"type": "string", "enum": [*map(str, Sort), "trending"]})
    ] = Field(
        default=Sort.DOWNLOADS,
        description="By what the Hub ranks them, the highest or newest first; trending is trending_score.",
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
        description="Names of repos below their author, or globs of them, that take no place and are left alone; "
        "without an author also owner/name or owner/*.",
        examples=[["*-GGUF", "Qwen3-235B*"]],
    )

    @model_validator(mode="after")
    def _of_one_way(self) -> Self:
        """Keys that say nothing beside the others."""
        said = self.model_fields_set
        if self.author is None and self.demand is None and "sort" not in said:
            raise ValueError("names nobody; write author: Qwen, or sort: downloads for the whole hub, or from: misses")
        odd = sorted(said & {"sort", "tags", "task"}) if self.demand else []
        if odd:
            raise ValueError(
                f"{odd[0]} is what a hub is asked by, and from: {self.demand} asks none; remove it or from"
            )
        if self.clients is not None and not self.demand:
            raise ValueError("clients is for from: misses or from: traffic; remove it")
        beyond = next((name for name in self.without or () if self.author and "/" in name), None)
        if beyond is not None:
            raise ValueError(
                f"without: {quoted(beyond)} is no name of a repo; write it without its author, like *-GGUF"
            )
        return self

    @property
    def ranking(self) -> Ranking:
        """What is written, as the domain's value; what is named twice counts once."""
        owner = self.author or "*"
        return Ranking(
            pattern=RepoPattern(self.kind, f"{owner}/*" if self.author else EVERYTHING),
            sort=self.sort,
            limit=self.limit,
            licenses=tuple(dict.fromkeys(self.licenses or ())),
            tags=tuple(dict.fromkeys(self.tags or ())),
            task=self.task,
            without=tuple(
                RepoPattern(self.kind, name if "/" in name else f"{owner}/{name}") for name in self.without or ()
            ),
            demand=self.demand,
            clients=self.clients or 1,
        )

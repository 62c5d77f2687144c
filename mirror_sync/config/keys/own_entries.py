"""What a job makes of models, or finds made of them: variants and transforms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from shutil import which
from typing import Annotated

from pydantic import Field, PlainValidator, WithJsonSchema

from mirror_sync.config.findings import Finding, Trail, quoted
from mirror_sync.config.keys.select import Author, Limit
from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import Keys
from mirror_sync.domain.job.variants import ALL_MODELS, Variants
from mirror_sync.domain.own.transform import INPUT, OUTPUT, Transform, into_of
from mirror_sync.domain.policy.scan_policy import ScanLimits
from mirror_sync.domain.repo import Kind, Repo

_QUANT = re.compile(r"(?:UD-)?[A-Z0-9]+(?:_[A-Z0-9]+)*")


def _quant(text: str) -> str:
    if _QUANT.fullmatch(text.upper()) is None:
        raise ValueError(f"{quoted(text)} is no word for a quantization; write it as files are called, like Q4_K_M")
    return text.upper()


def _bases(value: object) -> tuple[str, ...]:
    """One, or a list of some. ValueError with what would be right."""
    named = value if isinstance(value, list | tuple) else [value]
    texts = [one for one in named if isinstance(one, str)]
    if not texts or len(texts) < len(named):
        raise ValueError("must be a model, org/name, the name of a job, or a list of such")
    return tuple(dict.fromkeys(map(_base, texts)))


def _base(text: str) -> str:
    """A model, or the name of a job."""
    if "/" not in text and scalars.NAME.fullmatch(text):
        return text
    try:
        repo = Repo.parse(text)
    except ValueError as error:
        raise ValueError(f"{error}, or the name of a job that names models") from None
    if repo.kind is not Kind.MODEL or not repo.owner:
        raise ValueError(f"{quoted(text)} is no model with an owner; write org/name, or the name of a job")
    return repo.id


Into = Annotated[str, scalars.from_text(into_of), scalars.TEXT]
Quant = Annotated[str, scalars.from_text(_quant), scalars.TEXT]
Bases = Annotated[
    tuple[str, ...],
    PlainValidator(_bases),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


class VariantsEntry(Keys):
    """Quantised repos that others have made of models, found by what their cards say."""

    gguf: tuple[Quant, ...] = Field(
        min_length=1,
        description="The quantizations, as the names of files end; only these files of each repo are mirrored.",
        examples=[["Q4_K_M"]],
    )
    of: Bases = Field(
        description="The models that they were made of: org/name, a job's name for all that it names, or a list.",
        examples=["Qwen/Qwen3-8B"],
    )
    authors: tuple[Author, ...] | None = Field(
        default=None,
        min_length=1,
        description="Who may have made them; anybody when left out.",
        examples=[["bartowski", "unsloth"]],
    )
    limit: Limit = Field(
        default=1, description="How many repos of each model: the most downloaded that have one.", examples=[1]
    )

    def variants(self, bases: tuple[Repo, ...]) -> Variants:
        """As the domain has them, of these models."""
        return Variants(
            pattern=ALL_MODELS,
            limit=self.limit,
            bases=bases,
            quants=tuple(dict.fromkeys(self.gguf)),
            authors=tuple(dict.fromkeys(self.authors or ())),
        )


class TransformEntry(Keys):
    """What is made of each repo of a job after it was published, by a program, and pushed as a model of one's own."""

    command: tuple[scalars.Argument, ...] = Field(
        min_length=1,
        description="A program and its arguments, no shell: {input} is the folder of the files, {output} an empty one.",
        examples=[["/usr/local/bin/quantise", "{input}", "{output}"]],
    )
    into: Into = Field(
        description="The name of what is made, {name} being that of the repo; the owner is nobody else's.",
        examples=["acme/{name}-int8"],
    )
    upstream: scalars.Name | None = Field(
        default=None,
        description="The upstream that it is pushed into; may be left out when one alone takes a push.",
        examples=["own"],
    )
    version: tuple[scalars.Argument, ...] | None = Field(
        default=None,
        min_length=1,
        description="A command that says the version of the program: another one makes all anew.",
        examples=[["/usr/local/bin/quantise", "--version"]],
    )
    timeout: scalars.Interval = Field(
        default=timedelta(hours=1),
        description="How long the command may take for one repo; then it is ended, and nothing is pushed.",
        examples=["1h"],
        json_schema_extra={"default": "1h"},
    )
    memory: scalars.Size = Field(
        default=0,
        description="How much address space the command may take; 0: any.",
        examples=["16GiB"],
        json_schema_extra={"default": 0},
    )

    @property
    def transform(self) -> Transform:
        """As a job has it."""
        limits = ScanLimits(self.timeout, self.memory)
        return Transform(self.command, self.into, self.upstream or "", self.version or (), limits)

    def faults(self, trail: Trail) -> Iterator[Finding]:
        """A command that is not told its folders."""
        for word in (INPUT, OUTPUT):
            if not any(word in one for one in self.command[1:]):
                right = f"write [{self.command[0]}, {quoted(INPUT)}, {quoted(OUTPUT)}]"
                yield Finding((*trail, "command"), f"does not say {word[1:-1]}; {right}")
                return

    def doubts(self, trail: Trail) -> Iterator[Finding]:
        """A program that is not here."""
        program = self.command[0]
        if ("/" in program and not program.startswith("/")) or which(program) is None:
            message = f"{program} is no program here, so that nothing is made; write its whole path"
            yield Finding((*trail, "command"), message)

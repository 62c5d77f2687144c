"""What a job makes of models, or finds made of them: variants and transforms."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, PlainValidator, WithJsonSchema

from mirror_sync.config.findings import quoted
from mirror_sync.config.keys.select import Author, Limit
from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import Keys
from mirror_sync.domain.own.variants import ALL_MODELS, Variants
from mirror_sync.domain.repo import Kind, Repo

_QUANT = re.compile(r"(?:UD-)?[A-Z0-9]+(?:_[A-Z0-9]+)*")


def _quant(text: str) -> str:
    if _QUANT.fullmatch(text.upper()) is None:
        raise ValueError(f"{quoted(text)} is no word for a quantization; write it as files are called, like Q4_K_M")
    return text.upper()


def _bases(value: object) -> tuple[str, ...]:
    """One, or a list of some. ValueError with what would be right."""
    named = value if isinstance(value, list | tuple) else [value]
    if not named or not all(isinstance(one, str) for one in named):
        raise ValueError("must be a model, org/name, the name of a job, or a list of such")
    return tuple(dict.fromkeys(_base(one) for one in named))


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
        description="The models that they were made of: org/name, or the name of a job for all that it names, or a list.",
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

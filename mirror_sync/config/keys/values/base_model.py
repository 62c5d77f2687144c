"""What all models of jobs.yaml share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator

UNION = "\0"  # begins the tag of a union's member: no key of a file can


class Keys(BaseModel):
    """A mapping of known keys. `elsewhere` says of keys that belong to a sister model why they are wrong here."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    elsewhere: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _remember(cls, value: object, validation: ValidationInfo) -> object:
        """Note which model judged which mapping: an error says where a key is unknown, not which keys are known."""
        if isinstance(validation.context, dict):
            validation.context[id(value)] = cls
        return value

"""The catalogue in jobs.yaml: whether it is published, and whose it is."""

from __future__ import annotations

from pydantic import Field

from mirror_sync.config.keys import scalars
from mirror_sync.config.keys.base_model import Keys


class CatalogueEntry(Keys):
    """The catalogue: pages and documents that are published beside what is mirrored, and served at /."""

    enabled: scalars.Switch = Field(
        default=True, description="Whether the catalogue is published after every run.", examples=[False]
    )
    name: scalars.Sentence | None = Field(
        default=None,
        description="What the mirror is called, on every page and in lists of mirrors.",
        examples=["Example models"],
    )
    url: scalars.FrontUrl | None = Field(
        default=None,
        description="The address at which people find the mirror; left out or empty, front.url.",
        examples=["https://models.example.org"],
    )

"""What jobs.yaml says of readers: what everybody may read, what roles may, and where their tokens stand."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mirror_sync.config.keys import scalars
from mirror_sync.config.keys.base_model import Keys
from mirror_sync.domain.access.access_tokens import network
from mirror_sync.domain.access.rights import ALL_REPOS, Access, RepoSet, Role

Readable = Annotated[RepoSet, scalars.from_text(RepoSet.parse), scalars.TEXT]
Network = Annotated[str, scalars.from_text(network), scalars.TEXT]


class RoleEntry(Keys):
    """What a role may read, and what it may see beside that."""

    read: tuple[Readable, ...] = Field(
        default=(),
        description='What the role may read: "*" is all, acme/* models, dataset:acme/* datasets; gated and private '
        "repos, too.",
        examples=[["acme/*", "dataset:acme/*"]],
    )
    see: tuple[Readable, ...] = Field(
        default=(),
        description="What the role may see, and not read: catalogue, listings, verdicts; no contents of files.",
        examples=[["*"]],
    )


class NetworksEntry(Keys):
    """From where anybody may ask."""

    allow: tuple[Network, ...] = Field(
        default=(),
        description="The networks from which anybody may ask; all of them when left out.",
        examples=[["10.0.0.0/8"]],
    )
    proxies: tuple[Network, ...] = Field(
        default=(),
        description="The servers before a front whose X-Forwarded-For is believed, beside those of this machine.",
        examples=[["10.1.0.1"]],
    )


class AccessEntry(Keys):
    """Who may read what; everybody all that is public upstream, when left out."""

    anonymous: tuple[Readable, ...] = Field(
        default=(ALL_REPOS,),
        description='What everybody may read, with a token or without: "*" is all kinds; [] nothing. Gated and private '
        "repos only where they are named without a glob.",
        examples=[["*"]],
        json_schema_extra={"default": ["*"]},
    )
    roles: dict[scalars.Name, RoleEntry] = Field(
        default_factory=dict,
        description="What the holders of tokens may read beside that, by the role of a token.",
        examples=[{"developers": {"read": ["acme/*", "dataset:acme/*"]}}],
    )
    tokens: scalars.FilePath | None = Field(
        default=None,
        description="The file of the tokens that mirror-sync token makes; no tokens when left out.",
        examples=["/etc/mirror-sync/tokens.yaml"],
    )
    networks: NetworksEntry = Field(
        default_factory=NetworksEntry,
        description="From where anybody may ask; from everywhere when left out.",
        examples=[{"allow": ["10.0.0.0/8"], "proxies": ["10.1.0.1"]}],
    )
    contact: scalars.Sentence | None = Field(
        default=None,
        description="Whom people ask who may not read something; every refusal says it.",
        examples=["ml-platform@example.org"],
    )

    @property
    def access(self) -> Access:
        """What it comes to, before any job has opened anything."""
        return Access(
            anonymous=self.anonymous,
            roles={name: Role(entry.read, entry.see) for name, entry in self.roles.items()},
            allow=self.networks.allow,
            proxies=self.networks.proxies,
            contact=self.contact or "",
        )

"""What jobs.yaml says of trust: the keys that sign what is published, and the bills of materials beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, WithJsonSchema, model_validator

from mirror_sync.config.findings import quoted
from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import Keys
from mirror_sync.domain.pkcs11_uri import Pkcs11Uri
from mirror_sync.domain.url import Url

_NO_PRINCIPAL = re.compile(r"[^A-Za-z0-9._@-]+")
_UNNAMED = "mirror-sync"
BOM_KINDS = ("cyclonedx", "spdx3")


@dataclass(frozen=True, slots=True)
class Trust:
    """What is signed with which key; `principal` is who signs, in allowed_signers. None and empty: nothing."""

    principal: str = _UNNAMED
    key: Path | None = None
    model_key: Path | Pkcs11Uri | None = None
    certificate: Path | None = None
    chain: Path | None = None
    boms: tuple[str, ...] = ()

    @property
    def keys(self) -> Mapping[str, Path | Pkcs11Uri]:
        """Where keys are, by what jobs.yaml calls them below `trust`."""
        named = {"key": self.key, "model_signing.key": self.model_key}
        return {name: path for name, path in named.items() if path is not None}


def principal_of(name: str | None, *addresses: str | None) -> str:
    """Who signs: a mirror's name as one plain word, else the host of the first address."""
    found = (Url.parse(address).host for address in addresses if address)
    words = (_NO_PRINCIPAL.sub("-", one).strip("-") for one in (name or "", *found))
    return next(filter(None, words), _UNNAMED)


def bom_kind(text: str) -> str:
    """A kind of bill of materials that is written."""
    if text not in BOM_KINDS:
        raise ValueError(f"{quoted(text)} is no kind of bill of materials; write {' or '.join(BOM_KINDS)}")
    return text


BomKind = Annotated[str, scalars.from_text(bom_kind), WithJsonSchema({"enum": [*BOM_KINDS]})]


Pkcs11Address = Annotated[Pkcs11Uri, scalars.from_text(Pkcs11Uri.parse), WithJsonSchema({"type": "string"})]


class ModelSigningEntry(Keys):
    """The key that signs OpenSSF model bundles."""

    key: scalars.FilePath | None = Field(
        default=None,
        description="A private key on P-256, P-384 or P-521, in PEM, that its owner alone may read.",
        examples=["/etc/mirror-sync/oms.pem"],
    )
    pkcs11: Pkcs11Address | None = Field(
        default=None,
        description="A private key in hardware, in the place of a file: its address by RFC 7512. It needs the extra "
        "mirror-sync[pkcs11].",
        examples=[
            "pkcs11:token=mirror;object=oms?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/etc/mirror-sync/pin"
        ],
    )
    certificate: scalars.FilePath | None = Field(
        default=None,
        description="The key's certificate in PEM, which each bundle carries; without one, who verifies needs the key.",
        examples=["/etc/mirror-sync/oms.crt"],
    )
    chain: scalars.FilePath | None = Field(
        default=None,
        description="The certificates that lead from the key's own to its authority, in one PEM file.",
        examples=["/etc/mirror-sync/chain.crt"],
    )

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.key is None) is (self.pkcs11 is None):
            raise ValueError("one key signs; write key: FILE, or pkcs11: ADDRESS of a key in hardware")
        return self

    @model_validator(mode="after")
    def _chain_of_something(self) -> Self:
        if self.chain is not None and self.certificate is None:
            raise ValueError("chain leads from a certificate; write certificate: FILE beside it, or remove chain")
        return self


class TrustEntry(Keys):
    """What is signed of all that is published; nothing when left out."""

    key: scalars.FilePath | None = Field(
        default=None,
        description="An Ed25519 private key, OpenSSH's or in PEM, that its owner alone may read: it signs the sums of "
        "each snapshot and a statement of each repo.",
        examples=["/etc/mirror-sync/signing.key"],
    )
    model_signing: ModelSigningEntry | None = Field(
        default=None,
        description="What signs each snapshot as OpenSSF's model_signing does.",
        examples=[{"key": "/etc/mirror-sync/oms.pem"}],
    )
    bom: tuple[BomKind, ...] = Field(
        default=(),
        description="The kinds of bills of materials that are published with each snapshot: cyclonedx, spdx3.",
        examples=[["cyclonedx", "spdx3"]],
    )

    def trust(self, base: Path, principal: str) -> Trust:
        """What it comes to; relative files lie in `base`."""

        def place(named: str | None) -> Path | None:
            return None if named is None else base / named

        model = self.model_signing
        return Trust(
            principal=principal,
            key=place(self.key),
            model_key=(model.pkcs11 or place(model.key)) if model else None,
            certificate=place(model.certificate if model else None),
            chain=place(model.chain if model else None),
            boms=tuple(dict.fromkeys(self.bom)),
        )

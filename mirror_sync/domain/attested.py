"""What a mirror keeps of the mirror that it has a snapshot from: the roots, verdicts and signatures of that one.

A root names them as attachments: `upstream.root` is the other mirror's root document, byte for byte, and its digest is
what that one's signed statement names; `upstream.statement` and `upstream.statement.sig` are that statement as it stood
when the snapshot was taken, and `upstream.NAME` are its own attachments, but for those that its doors answer by. Where
a snapshot has the very files that the other one has, what proves these files has its own name here, too: whoever holds
the other mirror's public key can check it here as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mirror_sync.domain.content.document_format import word
from mirror_sync.domain.content.snapshot import Attachment, Document
from mirror_sync.domain.policy.rules import Verdict

PREFIX = "upstream."
UPSTREAM_ROOT = f"{PREFIX}root"
LARGEST_ATTESTED = 1024 * 1024 * 1024  # bytes of a document that is carried along: a million files have some 100 MiB
_OF_DOORS = ("oci.", "torrent.")  # how names of attachments begin by which clients of other doors are answered
OF_FILES = ("SHA256SUMS", "SHA256SUMS.sig", "model.sig", "bom.cdx.json", "bom.spdx3.json")
"""The attachments that say something of exactly these files, and so of no others."""


@dataclass(frozen=True, slots=True)
class Attested:
    """A snapshot as another mirror publishes it: `documents` by their names there, `files` and `size` in bytes."""

    root: bytes
    documents: Mapping[str, Attachment]
    verdicts: tuple[Verdict, ...]
    files: int
    size: int

    def attachments(self, *, whole: bool) -> dict[str, Attachment]:
        """By the names that they have here; `whole`: the files are all that the other mirror has."""
        under = {PREFIX + name: one for name, one in self.documents.items() if is_carried(name)}
        own = {name: self.documents[name] for name in OF_FILES if whole and name in self.documents}
        return {UPSTREAM_ROOT: Document.of(self.root), **under, **own}

    @property
    def judged(self) -> tuple[Verdict, ...]:
        """The other mirror's verdicts, by names that tell them from ours."""
        return tuple(
            Verdict(PREFIX + one.rule, one.outcome, one.reason) for one in self.verdicts if _fits(PREFIX + one.rule)
        )


def is_carried(name: str) -> bool:
    """Whether an attachment of the other mirror's root is worth carrying: what its doors answer by proves nothing."""
    own = name
    while own.startswith(PREFIX):
        own = own.removeprefix(PREFIX)
    return _fits(PREFIX + name) and not own.startswith(_OF_DOORS)


def _fits(name: str) -> bool:
    try:
        word(name)
    except ValueError:
        return False
    return True

"""What a mirror keeps of the mirror that it has a snapshot from: the roots, verdicts and signatures of that one.

A root names them as attachments: `upstream.root` is the other mirror's root document, byte for byte, and its digest is
what that one's signed statement names; `upstream.statement` and `upstream.statement.sig` are that statement as it stood
when the snapshot was taken, and `upstream.NAME` are its own attachments. Where a snapshot has the very files that the
other one has, what proves these files has its own name here, too: whoever holds the other mirror's public key can check
it here as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mirror_sync.domain.content.document_format import word
from mirror_sync.domain.policy.rules import Verdict

PREFIX = "upstream."
UPSTREAM_ROOT = f"{PREFIX}root"
LARGEST_ATTESTED = 64 * 1024 * 1024  # bytes of a document that is carried along
OF_FILES = ("SHA256SUMS", "SHA256SUMS.sig", "model.sig", "bom.cdx.json", "bom.spdx3.json")
"""The attachments that say something of exactly these files, and so of no others."""


@dataclass(frozen=True, slots=True)
class Attested:
    """A snapshot as another mirror publishes it: `documents` by their names there, `files` and `size` in bytes."""

    root: bytes
    documents: Mapping[str, bytes]
    verdicts: tuple[Verdict, ...]
    files: int
    size: int

    def attachments(self, *, whole: bool) -> dict[str, bytes]:
        """By the names that they have here; `whole`: the files are all that the other mirror has."""
        under = {PREFIX + name: body for name, body in self.documents.items() if _fits(PREFIX + name)}
        own = {name: self.documents[name] for name in OF_FILES if whole and name in self.documents}
        return {UPSTREAM_ROOT: self.root, **under, **own}

    @property
    def judged(self) -> tuple[Verdict, ...]:
        """The other mirror's verdicts, by names that tell them from ours."""
        return tuple(
            Verdict(PREFIX + one.rule, one.outcome, one.reason) for one in self.verdicts if _fits(PREFIX + one.rule)
        )


def _fits(name: str) -> bool:
    try:
        word(name)
    except ValueError:
        return False
    return True

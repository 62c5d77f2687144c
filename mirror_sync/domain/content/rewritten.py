"""When snapshots were published whose root was written anew since, with other attachments to the same files.

The time of publication is that of the root document, by which retention counts. A root that is only signed anew is
another document with a time of its own: a refs.json names this one, under PUBLISHED, which keeps the first time.

    {"<root>": {"published": 1767225600.0, "written": 1798761600.0}}

Both in seconds by the store's clock. A root whose time is another one than `written` has been published since.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirror_sync.domain.content.document_format import exactly, in_brief
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import DocumentError

PUBLISHED = "published"
_SLACK = 2.0  # seconds: a server may say one time with its fractions, and without them


@dataclass(frozen=True, slots=True)
class Rewritten:
    """When a snapshot was published, and when its root was written anew."""

    published: float
    written: float


def time_of(modified: float, rewritten: Rewritten | None) -> float:
    """When a snapshot was published, whose root the store has since `modified`."""
    if rewritten is None or abs(modified - rewritten.written) > _SLACK:
        return modified
    return rewritten.published


def encode_rewritten(known: Mapping[Sha256, Rewritten]) -> bytes:
    """The document."""
    documents = {root: {"published": one.published, "written": one.written} for root, one in sorted(known.items())}
    return json.dumps(documents, separators=(",", ":")).encode()


def decode_rewritten(body: bytes) -> dict[Sha256, Rewritten]:
    """DocumentError when the bytes are none."""
    try:
        return {Sha256(root): _read(one) for root, one in json.loads(body).items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentError(f"not a list of rewritten roots: {in_brief(error)}") from None


def _read(document: Any) -> Rewritten:
    known = exactly(document, ("published", "written"))
    times = known["published"], known["written"]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in times):
        raise TypeError("a time expected")
    return Rewritten(*map(float, times))

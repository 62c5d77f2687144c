"""For whoever has a shell and no client: a script, and the documents of a snapshot that it reads.

    /-/get.sh                                              lists and downloads; this front's address is in it
    /-/snapshots/<kind>s/<id>/<rev>/root.json    the root of a snapshot: its SHA-256 stands for all of it
    /-/snapshots/<kind>s/<id>/<rev>/<sha256>     a shard of its listing, an entry a line, as the root names it

docs/design/decisions/0065-plain-people.md says why these.
"""

from __future__ import annotations

import re
from pathlib import Path

from mirror_sync.domain.access.rights import Need
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Answer, Refusal
from mirror_sync.front.hub.front_request import Fields, FrontRequest
from mirror_sync.front.hub.protocol import FIELDS, GET, Answering, Protocol, Route
from mirror_sync.front.hub.served import Served
from mirror_sync.front.protocols.trust import attached

ROOT = "root.json"
_PLACE = "@MIRROR@"
_SCRIPT = (Path(__file__).parents[1] / "templates" / "get.sh").read_text(encoding="ascii")
# Of what stands between single quotes in the script: nothing that a shell would take for anything but itself.
_ADDRESS = r"^https?://(?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/\-]*)?$"
_SAFE = re.compile(_ADDRESS, re.ASCII)
_JSON = answers.MEDIA_TYPES["json"]


class PlainDoor:
    """Answers shells. Safe for many threads; raises Refusal, Elsewhere, StoreError, DocumentError."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.answers: dict[str, Answering] = {"get_sh": self._get_sh, "snapshot_document": self._document}

    def _get_sh(self, asked: FrontRequest, _fields: Fields) -> Answer:
        """Where nobody knows our address, or it is no plain one, the script asks its user for it."""
        address = asked.origin if _SAFE.fullmatch(asked.origin) else ""
        headers = {"Content-Type": answers.TEXT, "Cache-Control": answers.MOVING}
        if asked.told:
            headers |= {"Cache-Control": answers.LINKED, "Vary": answers.SAID}
        return Answer(200, headers, _SCRIPT.replace(_PLACE, address).encode())

    def _document(self, asked: FrontRequest, fields: Fields) -> Answer:
        """A shard of another root is none of this one: what was begun over that must begin again."""
        opened, name = self._served.open(fields), fields["document"]
        digest = opened.digest
        if name != ROOT:
            digest = next((shard.digest for shard in opened.root.shards if shard.digest == name), digest)
            if digest != name:
                raise Refusal(410, answers.GONE)
        headers = {one.replace("_", "-"): value for one, value in opened.headers.items()}
        return attached(self._served, asked, digest, {"Content-Type": _JSON, **headers})


_FIELDS = FIELDS | {"document": "root\\.json|[0-9a-f]{64}"}

PLAIN = Protocol(
    "plain",
    (
        Route("get_sh", GET, "/-/get\\.sh", needs=Need.ENTRY),
        Route("snapshot_document", GET, "/-/snapshots/{kinds}/{id}/{rev}/{document}", fields=_FIELDS, needs=Need.SEE),
    ),
    lambda served: PlainDoor(served).answers,
    ("plain.js",),
    constants={"SCRIPT": _SCRIPT, "PLACE": _PLACE, "ADDRESS": _ADDRESS, "ROOT": ROOT},
)

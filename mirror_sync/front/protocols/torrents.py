"""Torrents of what is mirrored, whose web seeds are the mirror itself and its replicas.

    /-/torrents/<kind>s/<id>/<revision>.torrent   a commit; its files are at their own addresses (BEP 19)
    /-/torrents/whitelist                         the infohashes of all that everybody may read, for a tracker

The info dictionary is an attachment of the root (domain/doors/torrent_metainfo.py); what stands around it is the
front's. Of a repo that is not for everybody the torrent is private and names no tracker: peers ask nobody for a token.
"""

from __future__ import annotations

from mirror_sync.domain.access.rights import Need
from mirror_sync.domain.catalogue.torrent_list import TORRENT_LIST, decode_torrents
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.doors.torrent_metainfo import (
    DOOR,
    FACTS,
    INFO,
    LARGEST_INFO,
    MEDIA_TYPE,
    TorrentFacts,
    around_info,
    torrent_of,
)
from mirror_sync.errors import KeyMissing
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Answer, Refusal
from mirror_sync.front.hub.conditions import is_current
from mirror_sync.front.hub.doorkeeper import named_repo
from mirror_sync.front.hub.front_request import Fields, FrontRequest
from mirror_sync.front.hub.protocol import FIELDS, GET, Answering, NotOffered, Protocol, Route
from mirror_sync.front.hub.served import Opened, Served, files_at
from mirror_sync.ports.store import MAX_DOCUMENT, read_all

NO_TORRENTS = "0" * 40
"""Stands in every list: of an empty one Debian's opentracker goes on with what the one before has allowed."""
_UNDER = "^/+-/torrents(?:/.*)?$"
NOT_MADE = (
    "{repo} at {commit} has no torrent yet: mirror-sync doors makes it for what was published before front: {torrents: "
    "true} was written"
)
NO_TORRENT = "{repo} at {commit} has no torrent: {why}"
NO_LIST = "No list of torrents is here: it is made with the catalogue, after each run"
_NOT_HERE = "Nothing is at this address; front: {torrents: true} in jobs.yaml makes torrents"


class Torrents:
    """Answers the routes below; raises Refusal, Elsewhere, StoreError, DocumentError. Safe for many threads."""

    def __init__(self, served: Served) -> None:
        self._served, self._snapshots = served, served.snapshots
        self.answers: dict[str, Answering] = {"torrent": self._torrent, "torrent_whitelist": self._whitelist}

    def _torrent(self, asked: FrontRequest, fields: Fields) -> Answer:
        opened = self._served.open(fields)
        digest, repo = self._info(opened, fields), named_repo(fields)
        closed = repo is not None and self._served.is_closed(repo)
        public = repo is not None and self._served.access.is_public(repo, closed=closed)
        options = self._served.torrents
        replicas = [] if repo is None else self._served.elsewhere(repo, opened)
        around = around_info(
            [files_at(asked, fields), *(place.removesuffix(f"{opened.commit}/") for place in replicas)],
            options.trackers if public else (),
            private=options.private or not public,
        )
        etag = f'"{digest[:32]}-{Sha256.of(b"".join(around))[:16]}"'
        headers = opened.addressed(asked, MEDIA_TYPE, etag)
        if is_current(asked.headers.get("if-none-match"), headers["ETag"]):
            return Answer(304, headers)
        return Answer(200, headers, torrent_of(self._snapshots.document(digest, LARGEST_INFO), around))

    def _info(self, opened: Opened, fields: Fields) -> Sha256:
        """The digest of an info dictionary. Refusal, which says why there is none."""
        facts = opened.root.attachments.get(FACTS)
        if facts is None:
            raise _refusal(NOT_MADE, fields, opened)
        why = TorrentFacts.decode(self._snapshots.document(facts)).why
        if why:
            raise _refusal(NO_TORRENT, fields, opened, why)
        return opened.root.attachments[INFO]

    def _whitelist(self, asked: FrontRequest, _fields: Fields) -> Answer:
        """One infohash a line, as opentracker reads it; the first is of none."""
        try:
            body = read_all(self._served.store, TORRENT_LIST, MAX_DOCUMENT)
        except KeyMissing:
            raise Refusal(404, NO_LIST, form="text") from None
        private, access = self._served.torrents.private, self._served.access
        listed = (one for one in decode_torrents(body) if access.may_be_public(one.repo))
        text = "\n".join([NO_TORRENTS, *(one.private if private else one.infohash for one in listed), ""]).encode()
        headers = {
            "Content-Type": answers.TEXT,
            "Cache-Control": answers.MOVING,
            "ETag": f'"{Sha256.of(text)[:32]}"',
        }
        if is_current(asked.headers.get("if-none-match"), headers["ETag"]):
            return Answer(304, headers)
        return Answer(200, headers, text)


def _refusal(message: str, fields: Fields, opened: Opened, why: str = "") -> Refusal:
    for word, said in {"repo": fields["id"], "commit": opened.commit, "why": why}.items():
        message = message.replace(f"{{{word}}}", said)
    return Refusal(404, message, "EntryNotFound", form="text")


TORRENTS = Protocol(
    "torrents",
    (
        Route("torrent_whitelist", GET, "/-/torrents/whitelist", needs=Need.ENTRY),
        Route(
            "torrent",
            GET,
            "/-/torrents/{kinds}/{id}/{rev}{ending}",
            fields=FIELDS | {"ending": r"\.torrent"},
            needs=Need.READ,
        ),
    ),
    lambda served: Torrents(served).answers,
    ("torrents.js",),
    constants={
        "FACTS": FACTS,
        "INFO": INFO,
        "LIST": TORRENT_LIST,
        "MEDIA_TYPE": MEDIA_TYPE,
        "NO_TORRENTS": NO_TORRENTS,
        "WORDS": {"made": NOT_MADE, "why": NO_TORRENT, "list": NO_LIST},
    },
    lacks=(NotOffered(_UNDER, _NOT_HERE, "text"),),
    door=DOOR,
)

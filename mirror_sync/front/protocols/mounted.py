"""All doors of a front, in one table, and who answers a request: the first protocol that knows its address."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import quote

from mirror_sync.domain.access.access_tokens import Badge
from mirror_sync.domain.access.rights import Need, Sight
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, MAINS, OURS, Refs
from mirror_sync.domain.content.share import ReaderShare, reader_key
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.doors.oci_documents import LATEST
from mirror_sync.domain.doors.oci_images import DOOR as IMAGES
from mirror_sync.domain.doors.oci_images import SUFFIX
from mirror_sync.domain.repo import Repo
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import S3_FORM, Answer, Refusal
from mirror_sync.front.hub.cors import PREFLIGHT
from mirror_sync.front.hub.doorkeeper import Doorkeeper, named_repo
from mirror_sync.front.hub.front_request import Fields, FrontRequest, decoded
from mirror_sync.front.hub.hub_api import HUB
from mirror_sync.front.hub.metalinks import METALINKS
from mirror_sync.front.hub.protocol import (
    GET,
    Answering,
    Match,
    Protocol,
    Route,
    RouteTable,
    has_dots,
    shut_routes,
    tokens_in,
)
from mirror_sync.front.hub.reasons import Reasons
from mirror_sync.front.hub.served import Elsewhere, Served, Unanswered
from mirror_sync.front.misses.missed import MODES, frozen, missed
from mirror_sync.front.misses.wish_form import WISHES
from mirror_sync.front.protocols.catalogue_pages import CATALOGUE
from mirror_sync.front.protocols.contents import CONTENTS
from mirror_sync.front.protocols.mirrors import MIRRORS
from mirror_sync.front.protocols.modelscope_api import MODELSCOPE
from mirror_sync.front.protocols.oci import OCI
from mirror_sync.front.protocols.plain import PLAIN
from mirror_sync.front.protocols.s3 import NOTHING_LISTED, S3
from mirror_sync.front.protocols.torrents import TORRENTS
from mirror_sync.front.protocols.trust import TRUST

_ABSENT = ("RepoNotFound", "RevisionNotFound")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")


def _healthz(_asked: FrontRequest, _fields: Fields) -> Answer:
    return Answer(200, {"Content-Type": answers.TEXT, "Cache-Control": answers.NEVER}, b"ok\n")


HEALTH = Protocol(
    "health", (Route("healthz", GET, "/healthz", needs=Need.NOTHING),), lambda _: {"healthz": _healthz}, ("health.js",)
)

PROTOCOLS = (
    HEALTH,
    CATALOGUE,
    WISHES,
    TRUST,
    PLAIN,
    CONTENTS,
    MIRRORS,
    MODELSCOPE,
    OCI,
    TORRENTS,
    METALINKS,
    S3,
    HUB,
)
"""What both fronts answer. The first of several routes that match has the word."""


class Mounted:
    """Answers requests; raises Refusal, StoreError, DocumentError. Safe for many threads.

    Only with `preflight` is a browser told that a page of another origin may ask.
    """

    def __init__(
        self,
        served: Served,
        protocols: Iterable[Protocol] = PROTOCOLS,
        *,
        preflight: bool = True,
        door: Doorkeeper | None = None,
    ) -> None:
        self.door = door or Doorkeeper(served)
        self._served = served
        mounted = tuple(protocols)
        self._table, self._preflight = RouteTable(mounted), preflight
        self._shut = shut_routes(mounted, served.doors)
        self._answering: Mapping[str, Answering] = {
            name: answering for one in mounted for name, answering in one.open(served).items()
        }
        self._reasons = Reasons(served.store, served.lists, served.access, self._table) if served.site else None

    def known(self, asked: FrontRequest) -> FrontRequest:
        """The same request with who asks. Raises nothing."""
        return replace(asked, reader=self.door.reader(asked, lambda: self._table.manners_at(asked.raw_path).cookie))

    def is_open(self, asked: FrontRequest) -> bool:
        """Whether nothing is asked of a reader at an address, as by those that watch the front."""
        match = self._table.match(asked.raw_path)
        return match is not None and match.route.needs is Need.NOTHING

    def answer(self, asked: FrontRequest) -> Answer:
        """The answer to a request, a refusal being one with its reason. Raises Refusal where nobody has reasons."""
        try:
            return self._listed(asked)
        except Refusal as refused:
            told = self._missed(self._or_token(refused, asked), asked)
            if isinstance(told, Answer):
                return told
            refusal = told
            if self._reasons is None:
                raise self.shaped(refusal, asked.raw_path, asked.origin) from None
            browser = asked.method in GET and "text/html" in asked.headers.get("accept", "").lower()
            browser = browser and self._table.manners_at(asked.raw_path).form != S3_FORM
            return self._reasons.answer(refusal, asked, browser=browser)

    def _listed(self, asked: FrontRequest) -> Answer:
        """The answer; that nothing is there, where a listing asks for what is not."""
        try:
            return self._answer(asked)
        except Refusal as refusal:
            match = self._table.match(asked.raw_path) if refusal.code in _ABSENT else None
            if match is None or not match.route.listing:
                raise
            found = self._answering[NOTHING_LISTED](asked, match.fields)
            told_in = tokens_in(self._table.manners_at(asked.raw_path)) if self.door.knows_tokens else ""
            return answers.kept_for(found, self._served.caching, public=False, varies=told_in)

    def _or_token(self, refusal: Refusal, asked: FrontRequest) -> Refusal:
        """Clients of registries send no token before they were told to: so whatever repo is not there for one without
        a token, is one for which a token is wanted.
        """
        match = self._table.match(asked.raw_path) if refusal.code == "RepoNotFound" else None
        bare = self.door.knows_tokens and asked.reader.badge is Badge.NONE
        return self.door.wanted(asked.reader) if bare and match is not None and match.route.tagged else refusal

    def _missed(self, refusal: Refusal, asked: FrontRequest) -> Answer | Refusal:
        """What the daemon says of a repo that is not here, for who asks; nothing of what is decided, which is told."""
        desk, mode = self._served.desk, self._served.miss
        if desk is None or mode not in MODES or refusal.code != "RepoNotFound" or refusal.repo is None:
            return refusal
        if self._reasons is not None and self._reasons.is_decided(refusal.repo, asked.reader):
            return refusal
        match = self._table.match(asked.raw_path)
        return refusal if match is None else missed(mode, desk, match.route.name, refusal, asked)

    def frozen(self, asked: FrontRequest) -> Refusal:
        """What is said of a file that lies in a cold tier, which gives nothing at once."""
        match = self._table.match(asked.raw_path)
        repo = None if match is None else named_repo(match.fields)
        return frozen(self._served.desk, repo, asked, self._served.access.whom_to_ask)

    def shaped(self, refusal: Refusal, raw_path: str, origin: str = "") -> Refusal:
        """A refusal in the form of the protocol that a raw path belongs to."""
        return self._table.shaped(refusal, raw_path, origin)

    def _answer(self, asked: FrontRequest) -> Answer:
        if len(asked.raw_path) > answers.LONGEST_ADDRESS:
            raise Refusal(414, answers.LONG_ADDRESS)
        if has_dots(asked.raw_path) or _BAD_PERCENT.search(asked.raw_path):
            raise Refusal(400, answers.BAD_PATH)
        if asked.method == "OPTIONS" and self._preflight:
            return Answer(204, dict(PREFLIGHT))
        match = self._matched(asked)
        public = self.door.admit(asked.reader, match.route.needs, match.fields)
        fields, shared = self._arm(asked, match)
        try:
            found = self._answering[match.route.name](asked, fields)
        except Elsewhere as elsewhere:
            found = self._elsewhere(asked, match, elsewhere.repo)
            public = False
        except Unanswered:
            raise self._lacking(asked) from None
        except Refusal as refusal:
            if refusal.repo is None:
                raise
            raise self.door.unfound(asked.reader, refusal.repo) from None
        varies = self.door.knows_tokens and match.route.needs is not Need.NOTHING
        public = ((public and self.door.shares) or not self.door.chooses) and not shared
        told_in = tokens_in(self._table.manners_at(asked.raw_path)) if varies or shared else ""
        return answers.kept_for(found, self._served.caching, public=public, varies=told_in)

    def _matched(self, asked: FrontRequest) -> Match:
        match = self._table.match(asked.raw_path)
        if match is None or match.route.name in self._shut:
            self.door.admit(asked.reader, None, {})
            raise self._lacking(asked)
        if asked.method not in match.route.methods:
            raise Refusal(405, answers.NO_METHOD, Allow=", ".join(match.route.methods))
        match.fields.update(match.route.asked_for(asked))
        if asked.reader.is_barred or not match.route.tagged:
            return match  # nothing is read for who is refused anyway
        return self._tagged(asked, match)

    def _arm(self, asked: FrontRequest, match: Match) -> tuple[Fields, bool]:
        """The fields of a request, where a grey release leads its reader away from main; and whether there is one.

        Then what is answered is for this reader, in whichever arm: no cache may give it to another.
        """
        revision = DEFAULT_BRANCH if match.route.name == "repo" else decoded(match.fields.get("rev") or "")
        repo = named_repo(match.fields) if revision in MAINS else None
        refs = None if repo is None else self._served.snapshots.refs(repo)
        share = None if refs is None else ReaderShare.of(refs.attachments)
        if repo is None or refs is None or share is None:
            return match.fields, False
        reader = reader_key(asked.reader.name if asked.reader.badge is Badge.HELD else "", asked.client)
        name = f"{OURS}{share.channel}"
        if time.time() < share.begins or refs.leads_to(name) is None or not share.takes(repo, reader):
            return match.fields, True
        return {**match.fields, "rev": quote(name, safe="")}, True

    def _tagged(self, asked: FrontRequest, match: Match) -> Match:
        """As clients of registries name things: ids in any letters, `latest`, and words for a part of a commit.

        A repo that is hidden from who asks stays unknown under the name that was asked for.
        """
        fields, repo = dict(match.fields), named_repo(match.fields)
        other = None if repo is None else self._served.meant(repo)
        if other is not None and self.door.sight(asked.reader, other) is not Sight.HIDDEN:
            fields["id"], repo = other.id, other
        refs = None if repo is None else self._served.snapshots.refs(repo)
        tag = fields.get("rev")
        if tag == LATEST:
            fields["rev"] = DEFAULT_BRANCH
        elif tag is not None and refs is not None and not _names_commit(refs, tag):
            base = tag.removesuffix(SUFFIX)
            if IMAGES in self._served.doors and base != tag and (base == LATEST or _names_commit(refs, base)):
                fields |= {"rev": DEFAULT_BRANCH if base == LATEST else base, "image": tag}
            else:
                fields |= {"rev": DEFAULT_BRANCH, "quant": tag}
        return Match(match.route, fields)

    def _elsewhere(self, asked: FrontRequest, match: Match, repo: Repo) -> Answer:
        """Where a reader may see the other repo, that is told to be there; else it is as if nothing were here."""
        meant = named_repo(match.fields)
        if meant is not None and self.door.sight(asked.reader, repo) is Sight.HIDDEN:
            raise self.door.unfound(asked.reader, meant)
        return _to_other(asked, match, repo)

    def _lacking(self, asked: FrontRequest) -> Refusal:
        """What is no route: with the words for what a mirror does not do."""
        lack = self._table.lack(asked.raw_path)
        if asked.method not in GET and (lack is None or lack.form in ("json", "oci")):
            return Refusal(405, answers.NO_METHOD, Allow=", ".join(GET))
        return Refusal(404, answers.NOTHING) if lack is None else Refusal(404, lack.message, form=lack.form)


def _names_commit(refs: Refs, tag: str) -> bool:
    return refs.leads_to(tag) is not None or CommitId.matches(tag)


def _to_other(asked: FrontRequest, match: Match, repo: Repo) -> Answer:
    """A 307 to the same under the other id, as the Hub's: an absolute path, which the oldest clients follow too."""
    before = match.route.before.format_map(match.fields)
    after = f"/{asked.raw_path.lstrip('/')}".removeprefix(before + match.fields["id"])
    query = f"?{asked.query}" if asked.query else ""
    return asked.redirected(f"{before}{repo.id}{after}{query}", {"Cache-Control": answers.MOVING})

"""Why something is not given: more than the bare refusal, where the catalogue knows more, and as a page to a browser.

docs/design/decisions/0018-refusals-with-reasons.md.
"""

from __future__ import annotations

from mirror_sync.domain.access.access_tokens import Reader
from mirror_sync.domain.access.rights import AccessRules, Sight
from mirror_sync.domain.catalogue.published_lists import Listed
from mirror_sync.domain.content.keys import site_key
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import KeyMissing
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Answer, Refusal
from mirror_sync.front.hub.front_request import FrontRequest
from mirror_sync.front.hub.hub_lists import Lists
from mirror_sync.front.hub.protocol import RouteTable
from mirror_sync.ports.store import MAX_DOCUMENT, Store, read_all

_NOT_FOUND = 404


class Reasons:
    """Over a store whose catalogue tells more. Safe for many threads; raises StoreError, DocumentError."""

    def __init__(self, store: Store, lists: Lists, access: AccessRules, table: RouteTable) -> None:
        """`table` knows in which form a protocol refuses."""
        self._store, self._lists, self._access, self._table = store, lists, access, table

    def answer(self, refusal: Refusal, asked: FrontRequest, *, browser: bool) -> Answer:
        """What is answered in place of a refusal: who may not see a repo is told what is told of an unknown one."""
        raw_path, origin = asked.raw_path, asked.origin
        known = None if refusal.repo is None else self._known(refusal.repo, asked.reader)
        up = "../" * (raw_path.count("/") - 1)
        if known is not None and browser:
            return Answer(302, {"Location": f"{up}{_page_of(known)}", "Cache-Control": answers.NEVER})
        page = self._page() if browser and refusal.status == _NOT_FOUND else None
        if page is not None:
            headers = {**answers.SITE_SAFETY, "Content-Type": answers.HTML, "Cache-Control": answers.NEVER}
            return Answer(refusal.status, headers, page.replace(answers.UP.encode(), up.encode()))
        if known is not None:
            refusal = _told(known, origin)
        elif refusal.repo is not None:
            refusal = Refusal(
                refusal.status, f"{refusal.message}; what is: {origin}/-/", refusal.code, form=refusal.form
            )
        return self._table.shaped(refusal, raw_path, origin).answer

    def is_decided(self, repo: Repo, reader: Reader) -> bool:
        """Whether a rule or a person does not want a repo here, as far as this reader may know."""
        known = self._known(repo, reader)
        return known is not None and known.state in (*answers.DECIDED, "gone")

    def _known(self, repo: Repo, reader: Reader) -> Listed | None:
        if self._access.decide(reader.role, repo, closed=False) is Sight.HIDDEN:
            return None
        return self._lists.known(repo, everything=self._access.sees_all(reader.role))

    def _page(self) -> bytes | None:
        try:
            return read_all(self._store, site_key(answers.MISSING), MAX_DOCUMENT)
        except KeyMissing:
            return None


def _page_of(known: Listed) -> str:
    return f"-/{known.kind.plural}/{known.id.replace('/', '--')}.html"


def _told(known: Listed, origin: str) -> Refusal:
    """As gated where somebody has decided against it: the one refusal whose words every client shows."""
    said = answers.STANDINGS.get(known.state, answers.STANDINGS["never"])
    message = f"{known.id} {said}{': ' if known.why else ''}{known.why}; see {origin}/{_page_of(known)}"
    if known.state in answers.DECIDED:
        return Refusal(403, message, "GatedRepo", X_Mirror_State=known.state)
    return Refusal(404, message, "RepoNotFound", X_Mirror_State=known.state)

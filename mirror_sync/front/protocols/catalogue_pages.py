"""The catalogue as a front answers it: what lies below `site/`, and the ways there from `/` and a repo's address."""

from __future__ import annotations

from contextlib import suppress

from mirror_sync.domain.access.access_tokens import Badge, Reader
from mirror_sync.domain.access.rights import Need, Sight
from mirror_sync.domain.catalogue.rows import LARGEST, WHOLE, repo_of_page
from mirror_sync.domain.content.keys import site_key, site_type
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import KeyMissing
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Answer, Refusal
from mirror_sync.front.hub.conditions import is_current
from mirror_sync.front.hub.doorkeeper import unauthorized
from mirror_sync.front.hub.front_request import Fields, FrontRequest
from mirror_sync.front.hub.protocol import FIELDS, GET, PART, Answering, Protocol, Route
from mirror_sync.front.hub.served import Served, Unanswered
from mirror_sync.ports.store import read_site

_ASSETS = "assets/"
_FIELDS = FIELDS | {"page": f"(?:(?:list|models|datasets|spaces|kernels|assets)/{PART}|[a-z]+\\.(?:html|json|atom))?"}


class CataloguePages:
    """Answers with what the catalogue has published. Safe for many threads; raises Refusal, StoreError."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.answers: dict[str, Answering] = {
            "root": self._root,
            "login": self._login,
            "site": self._site,
            "page": self._page,
        }

    def _root(self, _asked: FrontRequest, _fields: Fields) -> Answer:
        self._served.expect_site()
        return _redirect("-/")

    def _login(self, asked: FrontRequest, _fields: Fields) -> Answer:
        """Where a browser is asked for a token: no page asks for one that shows something to everybody."""
        if not self._served.tokens:
            raise Unanswered
        if asked.reader.badge is not Badge.HELD:
            raise unauthorized(answers.WHOSE if asked.reader.badge is Badge.NONE else answers.STRANGER)
        return Answer(302, {"Location": "./", "Cache-Control": answers.NEVER})

    def _site(self, asked: FrontRequest, fields: Fields) -> Answer:
        """An object of the catalogue, or a document that is a part of one of its pages."""
        name = fields["page"] or "index.html"
        body = self._read(name, asked.reader)
        if body is None:
            raise Refusal(404, answers.NOTHING)
        headers = {
            **answers.SITE_SAFETY,
            "Content-Type": site_type(site_key(name)) or answers.BINARY,
            "Cache-Control": answers.IMMUTABLE if name.startswith(_ASSETS) else answers.CHECKED,
            "ETag": f'"{Sha256.of(body)[:32]}"',
        }
        if is_current(asked.headers.get("if-none-match"), headers["ETag"]):
            return Answer(
                304, {name: value for name, value in headers.items() if name != "Content-Type"}
            )  # as nginx does
        return Answer(200, headers, body)

    def _read(self, name: str, reader: Reader) -> bytes | None:
        """What the reader may see of it: of a repo its page, of all repos what is for everybody, or all there is."""
        access, repo = self._served.access, repo_of_page(name)
        if repo is None:
            whole = access.sees_all(reader.role)
        else:
            closed = self._served.is_closed(repo)
            if access.decide(reader.role, repo, closed=closed) is Sight.HIDDEN:
                return None
            whole = not access.is_public(repo, closed=closed)
        for volume in (WHOLE, "") if whole else ("",):
            with suppress(KeyMissing):
                return read_site(self._served.store, name, LARGEST, volume)
        return None

    def _page(self, _asked: FrontRequest, fields: Fields) -> Answer:
        """A browser at the address that a repo has upstream; `place` is empty for a model, else `datasets/`.

        What is not there is told first, as it is to who may not see what is there.
        """
        self._served.refs_of(fields)
        self._served.expect_site()
        place, repo_id = fields["place"], fields["id"]
        up = "../" * f"{place}{repo_id}".count("/")
        return _redirect(f"{up}-/{place or 'models/'}{repo_id.replace('/', '--')}.html")


def _redirect(location: str) -> Answer:
    """Relative, so that a proxy may have us below a path."""
    return Answer(302, {"Location": location, "Cache-Control": answers.CHECKED})


CATALOGUE = Protocol(
    "catalogue",
    (
        Route("root", GET, "/", needs=Need.ENTRY),
        Route("login", GET, "/-/login", needs=Need.ENTRY),
        Route("site", GET, "/-/{page}", fields=_FIELDS, needs=Need.ENTRY),
        Route("page", GET, "/(?!api/|blobs/|hub/|-/){place}{id}", last=True, needs=Need.SEE),
    ),
    lambda served: CataloguePages(served).answers,
    ("catalogue.js",),
    locations="catalogue.conf.j2",
)

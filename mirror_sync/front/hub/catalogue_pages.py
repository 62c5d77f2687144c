"""The catalogue as a front answers it: what lies below `site/`, and the ways there from `/` and a repo's address."""

from __future__ import annotations

from mirror_sync.domain.catalogue.rows import LARGEST
from mirror_sync.domain.content.keys import site_key, site_type
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import KeyMissing
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Answer, Refusal
from mirror_sync.front.hub.conditions import is_current
from mirror_sync.ports.store import Store, read_all

_ASSETS = "assets/"


def to_home() -> Answer:
    """A redirect to the catalogue's first page."""
    return _redirect("-/")


def to_page(place: str, repo_id: str) -> Answer:
    """A browser at the address that a repo has upstream; `place` is empty for a model, else `datasets/`."""
    up = "../" * f"{place}{repo_id}".count("/")
    return _redirect(f"{up}-/{place or 'models/'}{repo_id.replace('/', '--')}.html")


def page(store: Store, name: str, held: str | None) -> Answer:
    """An object of the catalogue; `held` is the client's If-None-Match. Refusal where there is none; StoreError."""
    try:
        body = read_all(store, site_key(name), LARGEST)
    except KeyMissing:
        raise Refusal(404, answers.NOTHING) from None
    headers = {
        **answers.SITE_SAFETY,
        "Content-Type": site_type(site_key(name)) or answers.BINARY,
        "Cache-Control": answers.IMMUTABLE if name.startswith(_ASSETS) else answers.CHECKED,
        "ETag": f'"{Sha256.of(body)[:32]}"',
    }
    if is_current(held, headers["ETag"]):
        return Answer(304, {name: value for name, value in headers.items() if name != "Content-Type"})  # as nginx does
    return Answer(200, headers, body)


def _redirect(location: str) -> Answer:
    """Relative, so that a proxy may have us below a path."""
    return Answer(302, {"Location": location, "Cache-Control": answers.CHECKED})

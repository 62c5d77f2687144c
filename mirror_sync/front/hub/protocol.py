"""What a protocol is: addresses, who answers them in either language, and the words for what there is not.

`serve` matches with the table that protocols/mounted.py makes of all of them, and the njs module is rendered from it,
so both have the same. Paths are matched raw, still percent-encoded: `%2F` inside a revision or a folder is not a
separator. Patterns are written in what Python's `re` and JavaScript share.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote

from mirror_sync.domain.access.rights import Need
from mirror_sync.domain.content.refs import DEFAULT_BRANCH
from mirror_sync.front.hub.answers import JSON_FORM, Answer, Refusal
from mirror_sync.front.hub.front_request import Fields, FrontRequest
from mirror_sync.front.hub.served import Served

GET = ("GET", "HEAD")
POST = ("POST",)

PART = r"[A-Za-z0-9_.\-]+"
_SLASH = "(?:/|%2[fF])"

FIELDS = {
    "place": "(?:(?:datasets|spaces|kernels)/)?",  # models have no word of their own in front of their id
    "kinds": "models|datasets|spaces|kernels",
    "id": f"(?:{PART}/)?{PART}",
    # clients quote a revision whole; people do not quote the Hub's own refs
    "owner": PART,
    "rev": f"refs{_SLASH}(?:pr|convert){_SLASH}[^/]+|[^/]+",
    "path": ".+",
    "folder": "(?:/.*)?",
    "shelf": "[0-9a-f]{2}",
    "digest": "[0-9a-f]{64}",
}

# A part of a path that is "." or "..", in any spelling.
DOTS = f"(?:^|{_SLASH})(?:\\.|%2[eE]){{1,2}}(?:{_SLASH}|$)"

Answering = Callable[[FrontRequest, Fields], Answer]
"""Answers a request that a route has matched. Raises Refusal, Elsewhere, StoreError, DocumentError."""

Challenge = Callable[[str, str], str]
"""What `WWW-Authenticate` says at a raw path, below our own origin; "" for what it says everywhere."""


@dataclass(frozen=True, slots=True)
class Route:
    """`name` is the function that answers, in both languages; `template` names `fields` in braces.

    `needs` is what it asks of a reader: to read the repo that it names, unless it says otherwise. One that names none
    must say it. A `last` one is asked after those of all protocols: an address that would be nobody else's. A `tagged`
    one names repos and revisions as clients of registries write them: in any letters, `latest` for main, and what is no
    revision in the field `quant`. `query`: fields that stand there, by the names of its arguments; a `rev` that is one
    of `mains` is the default branch. Of a `listing` what is not there is no error: it lists nothing.
    """

    name: str
    methods: tuple[str, ...]
    template: str
    last: bool = False
    fields: Mapping[str, str] = field(default_factory=lambda: FIELDS)
    needs: Need = Need.READ
    tagged: bool = False
    query: Mapping[str, str] = field(default_factory=dict)
    mains: tuple[str, ...] = ()
    listing: bool = False

    def __post_init__(self) -> None:
        if self.needs in (Need.READ, Need.SEE) and "{id}" not in self.template:
            raise ValueError(f"route {self.name} names no repo: its `needs` must say who may ask")

    def pattern(self, group: str = "?P<") -> str:
        """A regular expression over a whole raw path; `group` opens a named group in the language it is for.

        Leading slashes count as one: an endpoint that is written with a final slash makes them.
        """
        body = re.sub(r"\{([a-z]+)\}", lambda one: f"({group}{one[1]}>{self.fields[one[1]]})", self.template)
        return f"^/+{body.removeprefix('/')}$"

    def asked_for(self, asked: FrontRequest) -> dict[str, str]:
        """What its fields in the query hold, percent-encoded as those of a path."""
        found = {name: asked.argument(argument) for name, argument in self.query.items()}
        if found.get("rev") in self.mains:
            found["rev"] = DEFAULT_BRANCH
        return {name: quote(value, safe="") for name, value in found.items()}

    @property
    def before(self) -> str:
        """What stands before a repo's id, with other fields in braces; all of it where none is named."""
        return re.sub(r"\(\?!.*?\)", "", self.template.partition("{id}")[0])


class NotOffered(NamedTuple):
    """What this mirror does not do, by the raw path of who asks for it: clients show the words, and no others."""

    pattern: str
    message: str
    form: str = JSON_FORM


@dataclass(frozen=True, slots=True)
class Protocol:
    """One door to what is mirrored.

    `open` gives, over what is served, a function for each of the `routes` by its name. `scripts` are the njs modules
    that only this protocol needs; the first has the same functions for nginx, in its `routes`. `locations` is a
    template of what nginx needs beside them, where it needs anything; `constants` are what the scripts find in
    `tables.OF`, under the protocol's name. Of what no protocol has, the first of all `lacks` that matches speaks. At
    the `addresses` of a protocol, an expression over raw paths, whatever is refused is told in its `form`, a token may
    come in its `cookie`, and `challenge` says, of a raw path and an origin, what is wanted of who has no token. Its
    routes are none while its `door` is not open: who may see what they name is not asked, which would be an answer.
    """

    name: str
    routes: tuple[Route, ...]
    open: Callable[[Served], Mapping[str, Answering]]
    scripts: tuple[str, ...]
    locations: str = ""
    constants: Mapping[str, object] = field(default_factory=dict)
    lacks: tuple[NotOffered, ...] = ()
    addresses: str = ""
    form: str = JSON_FORM
    cookie: str = ""
    challenge: Challenge | None = None
    door: str = ""


def tokens_in(manners: Protocol) -> str:
    """The headers of a request in which a token may come at the addresses of a protocol, as `Vary` names them."""
    return "Authorization, Cookie" if manners.cookie else "Authorization"


def shut_routes(protocols: Iterable[Protocol], doors: Collection[str]) -> frozenset[str]:
    """The names of the routes behind doors that are not open."""
    return frozenset(route.name for one in protocols if one.door and one.door not in doors for route in one.routes)


_HUB_LIKE = Protocol("any", (), lambda _: {}, ())


class Match(NamedTuple):
    """A route and what stands in its fields, still percent-encoded."""

    route: Route
    fields: dict[str, str]


class RouteTable:
    """The routes of several protocols, in the order of protocols: the first that matches answers."""

    def __init__(self, protocols: Iterable[Protocol]) -> None:
        mounted = tuple(protocols)
        routes = [route for one in mounted for route in one.routes]
        self.routes = tuple(sorted(routes, key=lambda route: route.last))
        self.lacks = tuple(lack for one in mounted for lack in one.lacks)
        self._compiled = tuple((route, re.compile(route.pattern(), re.ASCII)) for route in self.routes)
        self._lacks = tuple((lack, re.compile(lack.pattern, re.ASCII)) for lack in self.lacks)
        self.manners = tuple(one for one in mounted if one.addresses)
        self._manners = tuple((one, re.compile(one.addresses, re.ASCII)) for one in self.manners)

    def match(self, raw_path: str) -> Match | None:
        """The route of a raw path, None when nothing is there."""
        for route, pattern in self._compiled:
            found = pattern.fullmatch(raw_path)
            if found is not None:
                return Match(route, found.groupdict())
        return None

    def manners_at(self, raw_path: str) -> Protocol:
        """The protocol whose `form` and `cookie` are those of a raw path, whether a route of it is there or not."""
        return next((one for one, addresses in self._manners if addresses.match(raw_path)), _HUB_LIKE)

    def lack(self, raw_path: str) -> NotOffered | None:
        """What is asked for at a raw path that is no route, where that is a thing that others have."""
        return next((lack for lack, pattern in self._lacks if pattern.fullmatch(raw_path)), None)

    def shaped(self, refusal: Refusal, raw_path: str, origin: str = "") -> Refusal:
        """A refusal as the protocol at a raw path says it."""
        manners = self.manners_at(raw_path)
        wanted = manners.challenge(raw_path, origin) if manners.challenge and origin else ""
        if refusal.status == HTTPStatus.UNAUTHORIZED and wanted:
            refusal.headers["WWW-Authenticate"] = wanted
        return refusal.in_form(manners.form)


_DOTS = re.compile(DOTS)


def has_dots(raw_path: str) -> bool:
    """Whether a raw path tries to climb."""
    return _DOTS.search(raw_path) is not None

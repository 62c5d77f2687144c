"""The form by which people say what they want: POST /-/ask, and a page of the catalogue in answer.

A page of another site may not use it: browsers say of a POST where it comes from, by `Sec-Fetch-Site`, or where they do
not speak TLS by `Origin` alone; pages of ours say theirs to ourselves (`Referrer-Policy: same-origin`). Who says
neither is no browser. Source: https://www.w3.org/TR/fetch-metadata/, RFC 6454 (7.2).
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from mirror_sync.domain.access.rights import Need
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Answer, Refusal
from mirror_sync.front.hub.front_request import Fields, FrontRequest
from mirror_sync.front.hub.protocol import POST, Answering, Protocol, Route
from mirror_sync.front.hub.served import Served

DOOR = "ask"
LONGEST = 1024  # bytes of a form
FOREIGN = "A page of another site has sent this: open the catalogue of this mirror, and ask there"
LONG = f"A wish may have {LONGEST} bytes"
PAGE = "asked.html"
# What a person is told, as sections of that page: what became of a wish, and what the rules of licences say of it.
NOTED, BAD, LATER, UNDONE = "noted", "bad", "later", "undone"
OUTCOMES = ("allowed", "held", "refused", BAD)
_OWN = ("same-origin", "none")
_TOO_MANY = 429


class WishForm:
    """Answers with where to read what became of it."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def __call__(self, asked: FrontRequest, _fields: Fields) -> Answer:
        """303 to a section of the page. Refusal 403 for a page of another site, 413 for what is too long."""
        if is_foreign(asked):
            raise Refusal(403, FOREIGN)
        if len(asked.body) > LONGEST:
            raise Refusal(413, LONG)
        return Answer(303, {"Location": f"{PAGE}#{self._became(asked)}", "Cache-Control": answers.NEVER})

    def _became(self, asked: FrontRequest) -> str:
        text = wanted(asked.body)
        if not text:
            return BAD
        said = None if self._served.desk is None else self._served.desk("form", text, asked)
        if said is None:
            return UNDONE
        if said.status == _TOO_MANY:
            return LATER
        return said.outcome if said.outcome in OUTCOMES else NOTED


def is_foreign(asked: FrontRequest) -> bool:
    """Whether a page of another origin has a browser send this."""
    site = asked.headers.get("sec-fetch-site")
    if site is not None:
        return site not in _OWN
    origin = asked.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != urlsplit(asked.origin).netloc.lower()


def wanted(body: bytes) -> str:
    """What a form names, as a person has written it; empty for nothing."""
    try:
        fields = parse_qs(body.decode("utf-8", errors="replace"), max_num_fields=8)
    except ValueError:
        return ""
    return fields.get("repo", [""])[-1].strip()


def _open(served: Served) -> dict[str, Answering]:
    return {"ask": WishForm(served)}


WISHES = Protocol(
    "wishes",
    (Route("ask", POST, "/-/ask", needs=Need.ENTRY),),
    _open,
    ("wishes.js",),
    constants={
        "FOREIGN": FOREIGN,
        "LONG": LONG,
        "LONGEST": LONGEST,
        "PAGE": PAGE,
        "OUTCOMES": OUTCOMES,
        "NOTED": NOTED,
        "BAD": BAD,
        "LATER": LATER,
        "UNDONE": UNDONE,
    },
    door=DOOR,
)

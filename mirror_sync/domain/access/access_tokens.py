"""Tokens of readers, and the file that holds them: never a token, only its SHA-256.

    version: 1
    tokens:
    - {name: ci, role: developers, sha256: <64 hex>, expires: "2026-12-31T00:00:00Z", networks: ["10.0.0.0/8"]}

and behind these `by`, who made it, `revoked`, when it was ended, and `revoked_by`.

It is YAML of one shape alone, one token a line, so that nginx's script reads the same file by the same expressions. A
file with any other line is broken as a whole: then no token of it is known.

Behind the line of a token that `mirror-sync token new` made stands by what nginx tells it without the script, as a
comment, which fronts and programs that know nothing of it pass over:

    # nginx knows <first 16 digits of its SHA-256> by <8 letters it begins with> and <an MD5 in 22 letters>
"""

from __future__ import annotations

import re
import string
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import md5, sha256
from ipaddress import ip_address, ip_network

PREFIX = "hf_"
_LETTERS = string.ascii_letters + string.digits
_LENGTH = 37
LARGEST_FILE = 1 << 20  # bytes
HEADER = "# Who may read this mirror: written by mirror-sync token, and read by its fronts. One token a line.\n"
NAME = r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
_WHO = r"[A-Za-z0-9@._ \-]{1,120}"
TOKEN_LINE = (
    rf"^- \{{name: ({NAME}), role: ({NAME}), sha256: ([0-9a-f]{{64}})"
    rf'(?:, expires: "({_TIME})")?(?:, networks: \[([0-9A-Fa-f:./", ]*)\])?(?:, by: "({_WHO})")?'
    rf'(?:, revoked: "({_TIME})")?(?:, revoked_by: "({_WHO})")?\}}$'
)
"""A line of a token: name, role, digest, end, networks, by whom, end by a person, by whom. In what Python's `re` and
JavaScript share.
"""
OTHER_LINE = r"^(?:#[ -~]*|version: 1|tokens:(?: \[\])?|)$"
"""Every other line that may stand in the file."""
TOLD = 8  # of the letters of a token: the 29 others, 172 bits, are all that is secret
TOLD_TOKEN = rf"^Bearer {PREFIX}(?<told_letters>[A-Za-z0-9]{{{TOLD}}})"
"""How an Authorization header begins that may bring a token of ours, as nginx's expressions are."""
_LINK_LINE = re.compile(
    rf"# nginx knows ([0-9a-f]{{16}}) by ([A-Za-z0-9]{{{TOLD}}}) and ([A-Za-z0-9_\-]{{22}})", re.ASCII
)
_TOKEN_LINE, _OTHER_LINE = re.compile(TOKEN_LINE, re.ASCII), re.compile(OTHER_LINE, re.ASCII)
_NETWORK = re.compile(r'"([^"]*)"')
SIGNED = "aws4-"  # how the schemes of S3's signatures begin, in small letters
_ACCESS_KEY = re.compile(r"(?:^|[\s,])Credential=([^/,\s]+)/", re.ASCII)


class Badge(StrEnum):
    """What a reader is known by."""

    NONE = "none"  # no token
    UNKNOWN = "unknown"  # a token that is none of ours, as people carry that of another hub
    HELD = "held"  # a token of ours that is good
    EXPIRED = "expired"
    REVOKED = "revoked"
    AWAY = "away"  # a good one, from a network where it is not
    ROLELESS = "roleless"  # a good one, of a role that jobs.yaml does not have
    OUTSIDE = "outside"  # whoever it is, from a network from which nobody may ask


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks: `role` is that of a good token, and empty for anybody; `name` and `said` are of a token of ours."""

    badge: Badge = Badge.NONE
    role: str = ""
    name: str = ""
    said: str = ""

    @property
    def is_barred(self) -> bool:
        """Whether nothing is given, not even what everybody may read."""
        return self.badge not in (Badge.NONE, Badge.UNKNOWN, Badge.HELD)


ANYBODY = Reader()


@dataclass(frozen=True, slots=True)
class SecureLink:
    """By what nginx tells a token: the letters it begins with, and an MD5 that its `secure_link` compares.

    Only of a token that `new_token` made: of 172 bits at random no MD5 tells anything. Source: nginx's
    ngx_http_secure_link_module, which has MD5 alone, in base64url without padding.
    """

    told: str
    md5: str

    @classmethod
    def of(cls, token: str) -> SecureLink:
        """Of a token of `new_token`."""
        digest = md5(f"Bearer {token}".encode(), usedforsecurity=False).digest()
        return cls(token[len(PREFIX) : len(PREFIX) + TOLD], urlsafe_b64encode(digest).decode().rstrip("="))


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What is known of a token; times are ISO 8601 in UTC with a Z, so that they compare as texts. "" for no time."""

    name: str
    role: str
    digest: str
    expires: str = ""
    networks: tuple[str, ...] = ()
    by: str = ""
    revoked: str = ""
    revoked_by: str = ""
    link: SecureLink | None = None

    def encode(self) -> str:
        """Its line, and that of its link."""
        said = f"name: {self.name}, role: {self.role}, sha256: {self.digest}"
        if self.expires:
            said += f', expires: "{self.expires}"'
        if self.networks:
            said += f", networks: [{_listed(self.networks)}]"
        words = {"by": self.by, "revoked": self.revoked, "revoked_by": self.revoked_by}
        said += "".join(f', {key}: "{value}"' for key, value in words.items() if value)
        link = self.link
        known = f"# nginx knows {self.digest[:16]} by {link.told} and {link.md5}\n" if link and not self.revoked else ""
        return f"- {{{said}}}\n{known}"

    @classmethod
    def decode(cls, line: str) -> AccessToken:
        """ValueError for what is no line of a token."""
        found = _TOKEN_LINE.fullmatch(line)
        if found is None:
            raise ValueError("no line of a token")
        name, role, digest, expires, networks, by, revoked, revoked_by = (part or "" for part in found.groups())
        named = tuple(_NETWORK.findall(networks))
        if _listed(named) != networks:
            raise ValueError("networks are no list of networks")
        return cls(name, role, digest, expires, tuple(map(network, named)), by, revoked, revoked_by)

    def badge(self, now: str, client: str, roles: Iterable[str]) -> Reader:
        """Who comes with it; `now` is as the times here are, `client` the address it comes from."""
        if self.revoked:
            return Reader(Badge.REVOKED, name=self.name, said=self.revoked)
        if self.expires and self.expires <= now:
            return Reader(Badge.EXPIRED, name=self.name, said=self.expires)
        if self.networks and not is_within(client, self.networks):
            return Reader(Badge.AWAY, name=self.name, said=client)
        if self.role not in roles:
            return Reader(Badge.ROLELESS, name=self.name, said=self.role)
        return Reader(Badge.HELD, self.role, self.name)


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """All tokens of a file, in its order."""

    every: tuple[AccessToken, ...] = ()
    _by_digest: dict[str, AccessToken | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[str, AccessToken | None] = {}
        for one in self.every:  # of one that stands there twice nobody knows what is meant
            found[one.digest] = None if one.digest in found else one
        object.__setattr__(self, "_by_digest", found)

    @classmethod
    def decode(cls, body: bytes) -> AccessTokens:
        """ValueError for a broken file, with the number of the first line that is wrong."""
        if len(body) > LARGEST_FILE:
            raise ValueError(f"the file has more than {LARGEST_FILE} bytes")
        if not body.isascii():
            raise ValueError("the file has letters that mirror-sync token never writes")
        found, links, text = list[AccessToken](), dict[str, SecureLink](), body.decode("ascii")
        for number, line in enumerate(text.split("\n"), 1):
            if not line.startswith("- "):
                if _OTHER_LINE.fullmatch(line) is None:
                    raise ValueError(f"line {number} is none that mirror-sync token writes")
                if (said := _LINK_LINE.fullmatch(line)) is not None:
                    links[said[1]] = SecureLink(said[2], said[3])
                continue
            try:
                found.append(AccessToken.decode(line))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}; see mirror-sync token new --help") from None
        return cls(tuple(replace(one, link=links[at]) if (at := one.digest[:16]) in links else one for one in found))

    def encode(self) -> str:
        """The file."""
        return f"{HEADER}version: 1\ntokens:{'' if self.every else ' []'}\n" + "".join(
            one.encode() for one in self.every
        )

    def named(self, name: str) -> AccessToken | None:
        """The token of a name that is not revoked, else the last of that name."""
        named = [one for one in self.every if one.name == name]
        return next((one for one in named if not one.revoked), named[-1] if named else None)

    def with_token(self, token: AccessToken) -> AccessTokens:
        """The same with one more."""
        return AccessTokens((*self.every, token))

    def revoking(self, name: str, at: str, by: str) -> AccessTokens:
        """The same with all tokens of a name revoked; one that was stays as it is."""

        def ended(one: AccessToken) -> AccessToken:
            meant = one.name == name and not one.revoked
            return replace(one, revoked=at, revoked_by=by, link=None) if meant else one

        return AccessTokens(tuple(map(ended, self.every)))

    def of(self, token: str) -> AccessToken | None:
        """The one that a token is; None for none of ours."""
        return self._by_digest.get(digest_of(token))


def _listed(networks: Iterable[str]) -> str:
    return ", ".join(f'"{one}"' for one in networks)


def digest_of(token: str) -> str:
    """The SHA-256 by which a token is known."""
    return sha256(token.encode(errors="surrogateescape")).hexdigest()


def known_as(text: str) -> str:
    """Who somebody is, as a line can say it."""
    return re.sub(r"[^A-Za-z0-9@._ \-]+", "?", text).replace("?", "-")[:120] or "somebody"


def new_token(choose: Callable[[str], str]) -> str:
    """A token as clients know them; `choose` takes a letter at random, as secrets.choice does."""
    return PREFIX + "".join(choose(_LETTERS) for _ in range(_LENGTH))


def network(text: str) -> str:
    """A network as it is written everywhere: 10.0.0.0/8, 2001:db8::/32; ValueError, with what would be right."""
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError(f"{text[:60]!r} is no network; write 10.0.0.0/8, 10.1.2.3 or 2001:db8::/32") from None


def is_within(client: str, networks: Iterable[str]) -> bool:
    """Whether an address is in one of these networks; what is no address is in none."""
    try:
        address = ip_address(client)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in ip_network(one) for one in networks)


def client_of(peer: str, forwarded: str, proxies: Iterable[str]) -> str:
    """Who asks: the last address that no trusted server of `proxies` has, of the way that X-Forwarded-For tells.

    `peer` is who has connected. What is no address ends the way: whoever named it is asked for.
    """
    trusted, client = tuple(proxies), peer
    for named in reversed([one.strip() for one in forwarded.split(",")] if forwarded else []):
        if not is_within(client, trusted) or not _is_address(named):
            break
        client = named
    return client


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def credential(authorization: str, decode: Callable[[str], bytes]) -> str | None:
    """The token of an Authorization header: Bearer, the password of Basic, and where that is empty its user, or the
    access key of S3's clients. None where no token is sent; "" for one that cannot be read. `decode` reads base64.
    """
    scheme, _, rest = authorization.strip().partition(" ")
    if not scheme:
        return None
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower().startswith(SIGNED):
        found = _ACCESS_KEY.search(rest)
        return "" if found is None else found[1]
    if scheme.lower() != "basic":
        return ""
    try:
        user, _, password = decode(rest.strip()).decode().partition(":")
    except ValueError:
        return ""
    return password or user


def in_cookie(cookies: str, name: str) -> str | None:
    """The token in the cookie of a name; None where none is sent, or it is empty. Source: RFC 6265, section 4.2."""
    pairs = (one.strip().partition("=") for one in cookies.split(";"))
    return next((value or None for known, equals, value in pairs if equals and known == name), None)

"""Secrets of jobs.yaml: which values are secret, tokens kept in files, pairs that belong together, where they go, who
else may read them, and redaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE, S_IROTH, S_IXOTH

from mirror_sync.config.findings import Finding, Trail, listed, quoted
from mirror_sync.config.keys.endpoints import EndpointEntry, HubEntry
from mirror_sync.config.keys.model import File
from mirror_sync.config.keys.values import address_values
from mirror_sync.config.settings import Settings
from mirror_sync.config.tokens.tokens_file import read_tokens_file
from mirror_sync.config.yaml.text_file import read_text
from mirror_sync.config.yaml.wording import value_at
from mirror_sync.domain.job.targets import S3Target
from mirror_sync.domain.job.upstreams import HubUpstream, MirrorUpstream, ModelScopeUpstream
from mirror_sync.domain.outcome.notices import HookPost
from mirror_sync.domain.url import Url
from mirror_sync.errors import ConfigError

_SIGNED_IN_PLAIN = "is plain http: what our keys sign can be read and changed on the way; write an https address"
_SECRET_KEYS = frozenset({"token", "access_key", "secret_key", "post", "webhook_secret", "front_secret", "headers"})
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(?::-)?\}")  # one with a default holds a text of its own
_READERS = ("access", "tokens")  # where the file of readers' tokens is named
_READABLE = "is plain http: the token can be read on the way; write an https address"
_MASK = "***"
_TELLING = 8  # characters; a shorter access key, an identifier, is a word like "admin", which logs are full of
_MASKABLE = 4  # characters; a shorter secret is part of too many words, and no message repeats it anyway


@dataclass(frozen=True, slots=True)
class TokenFiles:
    """The tokens read from files, by where those are named, and what went wrong with others."""

    tokens: Mapping[Trail, str]
    faults: tuple[Finding, ...]


def read_tokens(tree: Mapping[str, object], base: Path) -> TokenFiles:
    """Read every `token_file`; a relative one lies beside jobs.yaml."""
    tokens: dict[Trail, str] = {}
    faults: list[Finding] = []
    for trail, entry in _with_tokens(tree):
        file, place = entry.get("token_file"), (*trail, "token_file")
        if not isinstance(file, str):
            continue
        try:
            tokens[place] = _token(base / address_values.folder(file))
        except ValueError as error:
            faults.append(Finding(place, f"{error}; write the path of a file with the token"))
    return TokenFiles(tokens, tuple(faults))


def _token(path: Path) -> str:
    token = read_text(path).text.strip()
    if not token:
        raise ValueError("the file is empty")
    if not sendable(token):
        raise ValueError("the file holds more than a token: a token is one word of plain characters")
    return token


def sendable(secret: str) -> bool:
    """Whether a header can carry it."""
    return secret.isascii() and secret.isprintable() and " " not in secret


def faults(tree: Mapping[str, object]) -> Iterator[Finding]:
    """Secrets that exclude each other, or that miss their other half, or that no request can carry."""
    for trail, entry in _with_tokens(tree):
        if "token" in entry and "token_file" in entry:
            yield Finding((*trail, "token_file"), "stands beside token, where only one can be; remove one")
    for trail, entry in _with_keys(tree):
        for half, other in (("access_key", "secret_key"), ("secret_key", "access_key")):
            if entry.get(half) and not entry.get(other):
                yield Finding((*trail, half), f"comes without {other}; write both, or neither")
    for trail, secret in texts_of_secrets(tree):
        if not sendable(secret.replace(" ", "") if "headers" in trail else secret):
            yield Finding(trail, "must be one word of plain characters")


def doubts(tree: Mapping[str, object], tokens: Mapping[Trail, str]) -> Iterator[Finding]:
    """Secrets that the log cannot be cleaned of."""
    for trail, secret in (*texts_of_secrets(tree), *tokens.items()):
        if trail[-1] != "access_key" and 0 < len(secret) < _MASKABLE:
            message = f"is so short that messages may show it; a secret has {_MASKABLE} characters or more"
            yield Finding(trail, message)


def ways(file: File, settings: Settings) -> Iterator[Finding]:
    """Secrets that go where they can be read on the way, and endpoints that miss one which others have."""
    for name, entry in file.upstreams.items():
        upstream = settings.upstreams[name]
        if isinstance(entry, HubEntry) and isinstance(upstream, HubUpstream):
            yield from _ways_of_tokens(("upstreams", name, "endpoints"), entry, upstream)
        elif isinstance(upstream, ModelScopeUpstream) and upstream.token and _is_open(upstream.url):
            yield Finding(("upstreams", name, "url"), _READABLE)
        elif isinstance(upstream, MirrorUpstream):
            yield from _ways_to_mirror(("upstreams", name), upstream)
    yield from _ways_to_targets(settings)
    for turn, hooks in settings.hooks.items():
        for index, hook in enumerate(hooks):
            if isinstance(hook, HookPost) and _is_open(hook.url):
                message = "is plain http: who reads the address on the way can post there, too; write an https address"
                yield Finding(("on", turn, index, "post"), message)


def _ways_to_targets(settings: Settings) -> Iterator[Finding]:
    """And to their replicas and cold tiers, and to what is pushed into."""
    places = [(("targets", name), target) for name, target in settings.targets.items()]
    replicas = [
        (("targets", name, "replicas", at), one.at)
        for name, target in settings.targets.items()
        for at, one in enumerate(target.replicas)
    ]
    cold = [
        (("targets", name, "tiers", "cold", "target"), target.tiers.at)
        for name, target in settings.targets.items()
        if target.tiers is not None
    ]
    pushed = [(("upstreams", name), upstream.pushed_into) for name, upstream in settings.upstreams.items()]
    for trail, place in (*places, *replicas, *cold, *pushed):
        if isinstance(place, S3Target) and _is_open(place.endpoint_url or ""):
            yield Finding((*trail, "endpoint_url"), _SIGNED_IN_PLAIN)


def _ways_to_mirror(trail: Trail, upstream: MirrorUpstream) -> Iterator[Finding]:
    if upstream.token and _is_open(upstream.url):
        yield Finding((*trail, "url"), "is plain http: the token can be read on the way; write an https address")
    elif upstream.signers is None and _is_open(upstream.url):
        message = (
            "is plain http, and nothing checks what it says: who is on the way can change it; write an https address"
        )
        yield Finding((*trail, "url"), f"{message}, or signers: the file of its public keys")
    if isinstance(upstream.target, S3Target) and _is_open(upstream.target.endpoint_url or ""):
        yield Finding((*trail, "endpoint_url"), _SIGNED_IN_PLAIN)


def _ways_of_tokens(trail: Trail, entry: HubEntry, upstream: HubUpstream) -> Iterator[Finding]:
    for index, one in enumerate(entry.endpoints):
        endpoint = one.url if isinstance(one, EndpointEntry) else one
        token = upstream.token_for(endpoint)
        if token and _is_open(endpoint):
            yield Finding((*trail, index), _READABLE)
        if upstream.token and token is None and endpoint not in upstream.tokens:
            message = (
                "is asked without the token, which is for the first endpoint's server alone; write {url: https://..., "
                'token: "${NAME}"} to give it one, or token: "" to say that it has none'
            )
            yield Finding((*trail, index), message)


def readers(settings: Settings) -> Iterator[Finding]:
    """Rules and tokens of readers that give nobody anything: a front goes on by them, and gives less than was meant."""
    roles, path = settings.access.roles, settings.tokens
    if path is None:
        if roles:
            message = "nobody can have one of these: write tokens: ./tokens.yaml beside them, for mirror-sync token"
            yield Finding(("access", "roles"), message)
    elif not path.exists():
        yield Finding(_READERS, f"{quoted(path)} is not there: no token is known; mirror-sync token new NAME makes it")
    else:
        yield from _of_tokens(settings)
    if settings.front.by_digest and not any(map(settings.access.reads_all, roles)):
        opened = [settings.access_to(name).reads_all("") for name in settings.targets]
        if not all(opened):
            right = 'write readers: everyone in each job, or a role with read: ["*"]'
            message = f"nobody may read everything, and so nothing is given by its digest; {right}"
            yield Finding(("front", "by_digest"), message)


def _of_tokens(settings: Settings) -> Iterator[Finding]:
    if settings.tokens is None:
        return
    try:
        every = read_tokens_file(settings.tokens).every
    except ConfigError as error:
        said = "; ".join(fault.message for fault in error.faults)
        yield Finding(_READERS, f"{quoted(settings.tokens)}: {said}: no token is known")
        return
    strange = sorted({one.role for one in every if not one.revoked and one.role not in settings.access.roles})
    if strange:
        yield Finding(
            _READERS, f"has tokens of {listed(list(map(quoted, strange)), 'and')}, which is no role under roles"
        )


def _is_open(address: str) -> bool:
    """Whether what is sent there can be read on the way: plain http that leaves the machine."""
    if not address.lower().startswith("http:"):
        return False
    try:
        host = Url.parse(address).host.rstrip(".")
    except ValueError:
        return True
    return not (host == "localhost" or host.endswith(".localhost") or host == "::1" or host.startswith("127."))


def exposed(written: object, tree: Mapping[str, object], files: Iterable[Trail], path: Path) -> Iterator[Finding]:
    """Secrets that others on this machine may read.

    `written` is jobs.yaml at `path` before variables are put in, `tree` after; `files` name tokens' files in it.
    """
    mode = _open_mode(path)
    for trail, text in texts_of_secrets(written) if mode else ():
        if trail[-1] != "access_key" and _VARIABLE.sub("", text).strip():
            right = 'write "${NAME}" and set it in the environment, or let none but its readers read the file: chmod o='
            yield Finding(
                trail, f"stands here as text, and {path.name} may be read by everybody here ({mode}); {right}"
            )
    for trail in files:
        name = str(value_at(tree, trail))
        mode = _open_mode(path.absolute().parent / address_values.folder(name))
        if mode:
            yield Finding(trail, f"{quoted(name)} may be read by everybody here ({mode}); chmod 600 it")


def _open_mode(path: Path) -> str:
    """The mode of a file that everybody may read, as in `mode 0644`; empty for one that they may not, or not reach."""
    try:
        real = path.resolve()
        mode = real.stat().st_mode
        reached = all(folder.stat().st_mode & S_IXOTH for folder in real.parents)
    except OSError:
        return ""  # what we cannot look at, others cannot either
    return f"mode {S_IMODE(mode):04o}" if mode & S_IROTH and reached else ""


def met(tree: object, used: Mapping[Trail, Iterable[str]], tokens: Iterable[str]) -> tuple[str, ...]:
    """All secret values, the longest first: those of the file, of the variables in them, and of token files.

    A short access key is none: it names an account, and its word may stand anywhere.
    """
    found = [*texts_of_secrets(tree), *((trail, part) for trail, parts in used.items() for part in parts)]
    values = {text for trail, text in found if _worth_hiding(trail, text)} | set(tokens)
    return tuple(sorted(filter(None, values), key=lambda value: (-len(value), value)))


def _worth_hiding(trail: Trail, text: str) -> bool:
    named = _SECRET_KEYS.intersection(trail)
    return bool(named) and (named != {"access_key"} or len(text) >= _TELLING)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """The text without any of the secrets, given the longest first."""
    for secret in secrets:
        if len(secret) >= _MASKABLE:
            text = text.replace(secret, _MASK)
    return text


def _entries(tree: Mapping[str, object], side: str) -> Iterator[tuple[str, dict[str, object]]]:
    entries = tree.get(side)
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        if isinstance(entry, dict):
            yield name, entry


def _with_keys(tree: Mapping[str, object]) -> Iterator[tuple[Trail, dict[str, object]]]:
    """Each target, replica, cold tier and upstream: all may have the keys of a bucket."""
    for side in ("targets", "upstreams"):
        for name, entry in _entries(tree, side):
            yield (side, name), entry
            replicas = entry.get("replicas")
            for index, one in enumerate(replicas if isinstance(replicas, list) else ()):
                if isinstance(one, dict):
                    yield (side, name, "replicas", index), one
            cold = _mapping(_mapping(_mapping(entry.get("tiers")).get("cold")).get("target"))
            if cold:
                yield (side, name, "tiers", "cold", "target"), cold


def _mapping(value: object) -> dict[str, object]:
    """Empty for what is none."""
    return value if isinstance(value, dict) else {}


def _with_tokens(tree: Mapping[str, object]) -> Iterator[tuple[Trail, dict[str, object]]]:
    """Each upstream, and each endpoint that is a mapping: both may have a token."""
    for name, entry in _entries(tree, "upstreams"):
        yield ("upstreams", name), entry
        endpoints = entry.get("endpoints")
        for index, one in enumerate(endpoints if isinstance(endpoints, list) else ()):
            if isinstance(one, dict):
                yield ("upstreams", name, "endpoints", index), one


def texts_of_secrets(tree: object, trail: Trail = ()) -> Iterator[tuple[Trail, str]]:
    """Every text at or under a secret key, wherever the key stands."""
    if isinstance(tree, dict | list):
        for step, child in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from texts_of_secrets(child, (*trail, step))
    elif tree is not None and not isinstance(tree, bool) and _SECRET_KEYS.intersection(trail):
        yield trail, str(tree)

"""Writes the configuration of the nginx front: nginx.conf, the njs modules and, for a private bucket, its credentials.

What is written starts as it is with `nginx -c DIR/nginx.conf` (nginx 1.22 with njs 0.7.9, Debian 12), without root when
the port allows: logs, caches and temporary files stay in DIR.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from mirror_sync.domain.access.access_tokens import LARGEST_FILE, OTHER_LINE, TOKEN_LINE, TOLD_TOKEN, Badge
from mirror_sync.domain.access.reader_limits import AGAIN, UNLIMITED, ReaderLimits
from mirror_sync.domain.access.rights import OPEN_TO_PUBLIC, AccessRules, Need, Role
from mirror_sync.domain.catalogue import page_data, published_lists
from mirror_sync.domain.catalogue.rows import WHOLE
from mirror_sync.domain.content.document_format import FORMATS
from mirror_sync.domain.content.keys import SITE_TYPES, USUAL, Caching
from mirror_sync.domain.content.manifest import LFS_POINTER, MAX_PATH_BYTES
from mirror_sync.domain.content.refs import GROUPS
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.doors.oci_documents import OCI_MANIFEST
from mirror_sync.domain.doors.oci_images import DOOR as IMAGES
from mirror_sync.domain.doors.torrent_metainfo import TorrentOptions
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target, Target
from mirror_sync.domain.outcome.replicas import ReplicaFront
from mirror_sync.domain.url import own_address
from mirror_sync.front.hub import answers, listing
from mirror_sync.front.hub.answers import Refusal
from mirror_sync.front.hub.cors import ALLOW_ORIGIN, ANY, NAMES, PREFLIGHT, SHOWN, Cors
from mirror_sync.front.hub.desk_answer import PASSED
from mirror_sync.front.hub.doorkeeper import UNREAD
from mirror_sync.front.hub.protocol import DOTS, GET, RouteTable, shut_routes, tokens_in
from mirror_sync.front.misses import missed
from mirror_sync.front.misses.daemon_desk import LONGEST, PATIENCE, SECRET, DeskOptions
from mirror_sync.front.nginx.nginx_bucket import ENDPOINT, address, described, plain
from mirror_sync.front.nginx.told_tokens import ToldTokens
from mirror_sync.front.nginx.workers import Workers, barrier, drop_foreign, ordinary, snare, workers
from mirror_sync.front.protocols.modelscope_api import ASKED_BY_MANY
from mirror_sync.front.protocols.mounted import PROTOCOLS
from mirror_sync.front.protocols.s3 import DOOR
from mirror_sync.front.protocols.s3_addresses import MARKED_QUERY, MARKS, SIGNED
from mirror_sync.logger import Logger

FORGOTTEN_SECONDS = 5  # of what may have changed, when nobody asks for it
SLICED_FROM = 1_000_000  # bytes; smaller files are kept whole
SLICE_SIZE = 8 << 20  # bytes; a read of any of them fetches all
CACHE_SIZE = 16 << 30  # bytes
CONNECTIONS = 4096  # of each worker
CREDENTIALS = "s3-credentials.json"
_FOR_DAEMON = "for-daemon.conf"  # which nginx's master alone reads
_SECRETS = (CREDENTIALS, _FOR_DAEMON)
_MODULES = (
    *("access.js", "answers.js", "bucket.js", "listing.js", "lists.js", "mirror.js", "misses.js", "readers.js"),
    *("reasons.js", "requests.js", "shares.js", "signing.js", "slices.js", "snapshots.js", "tagged.js", "types.js"),
    *(script for protocol in PROTOCOLS for script in protocol.scripts),
)  # in JavaScript
_RENDERED = ("protocols.js", "settings.js", "tables.js")
_ETC, _VAR, _NAME = Path("/etc"), Path("/var"), "mirror-front"
_SHOWN = 3  # names of files in a message
_MARK = ".mirror-sync-front"  # stands in a folder whose content is ours to replace
_WRITTEN_BY = b"# Written by `mirror-sync front nginx`"  # how the nginx.conf of a folder without it may begin, too
_LAYERS = re.compile(r"http://([A-Za-z0-9.\-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?)/?")
_PUBLIC = re.compile(rf"{ENDPOINT.pattern.removesuffix('/?')}(?:/[A-Za-z0-9._~\-]+)*")
_TABLE = RouteTable(PROTOCOLS)
_FOLDER_MODE = 0o755  # workers pass through, whatever the umask of whoever writes
_log = Logger()
# What links in an answer are made of where nobody has said where they lead. These may have spaces, but no line feeds.
_SAID = ("$http_host", "$http_x_forwarded_host", "$http_x_forwarded_proto", "$http_x_forwarded_prefix")
# What a bucket says about an object that is not what the Hub says about the file, and what we say ourselves.
_HIDDEN = (
    *sorted({*answers.SAFETY, *answers.SITE_SAFETY, *NAMES} - {"Cache-Control"}),
    *("Access-Control-Allow-Credentials", "Strict-Transport-Security", "X-XSS-Protection"),
    *("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "ETag"),
    *("Expires", "Last-Modified", "Set-Cookie", "Vary", "x-amz-id-2", "x-amz-request-id", "x-amz-version-id"),
    *("x-amz-server-side-encryption", "x-rgw-object-type"),
)


@dataclass(frozen=True, slots=True)
class Variable:
    """Where nginx writes: its logs, what it keeps, and what it is about to send or receive."""

    logs: Path
    cache: Path
    temp: Path

    @classmethod
    def beside(cls, folder: Path) -> Variable:
        """In the folder of the configuration itself, unless that is in /etc, where nothing changes by itself: then
        where the Filesystem Hierarchy Standard has it. The unit allows these.
        """
        if not folder.is_relative_to(_ETC):
            return cls(folder / "logs", folder / "cache", folder / "temp")
        return cls(_VAR / "log" / _NAME, _VAR / "cache" / _NAME, _VAR / "cache" / _NAME / "temp")

    @property
    def places(self) -> tuple[Path, ...]:
        """All of them."""
        return self.logs, self.cache, self.temp


@dataclass(frozen=True, slots=True)
class Tls:
    """Files that whoever starts nginx reads, and the oldest version of TLS that is spoken."""

    certificate: Path
    key: Path
    min_version: Literal["1.2", "1.3"] = "1.3"

    @property
    def protocols(self) -> str:
        """As nginx names them."""
        return "TLSv1.3" if self.min_version == "1.3" else "TLSv1.2 TLSv1.3"


@dataclass(frozen=True, slots=True)
class NginxOptions:
    """`user` runs the workers when nginx is started by root; None: www-data, or nobody.

    Links lead to `public_url`; None: to where each client says that it found us. `cache_size`, in bytes, bounds what is
    kept of large files of an S3 target; 0 keeps none. `site`: a catalogue is published, and `/` and the addresses of
    repos lead there. `by_digest`: contents are given by their digest alone, too. `doors`: those that are open beside
    the Hub's; `torrents`: how they are put together. `layers`: the address of a `serve` that puts layers of images
    together; None: no images. All that is asked at `s3_listen` is asked of S3's. At `watch` nginx says how many
    connections it has, to whoever asks. `kernel_publishers`: whose kernels clients are told to trust. `cors`: whose
    pages may read.
    `desk`: where the daemon is asked about what is not here, None for nowhere.
    `replicas`: those with fronts of their own, the best first.
    `access`: who may read what; `tokens`: the file of those of readers, which the workers read for themselves.
    `tls`: TLS and HTTP/2 in place of plain HTTP. `limits`: how much one reader may ask. `caching`: how long others may
    keep an answer. `resolvers`: see `described`. `variable`: where nginx writes; None: as `Variable.beside` says.
    """

    target: Target
    host: str = "127.0.0.1"
    port: int = 8080
    refs_seconds: int = 1
    user: str | None = None
    public_url: str | None = None
    cache_size: int = CACHE_SIZE
    site: bool = True
    by_digest: bool = False
    doors: frozenset[str] = frozenset()
    kernel_publishers: frozenset[str] = frozenset()
    torrents: TorrentOptions = TorrentOptions()
    desk: DeskOptions | None = None
    replicas: tuple[ReplicaFront, ...] = ()
    layers: str | None = None
    s3_listen: tuple[str, int] | None = None
    watch: tuple[str, int] | None = None
    cors: Cors = ANY
    access: AccessRules = OPEN_TO_PUBLIC
    tokens: Path | None = None
    tls: Tls | None = None
    limits: ReaderLimits = UNLIMITED
    caching: Caching = USUAL
    variable: Variable | None = None
    resolvers: tuple[str, ...] | None = None
    js_module: Path = Path("/usr/lib/nginx/modules/ngx_http_js_module.so")


def write_nginx(directory: Path, options: NginxOptions) -> Path:
    """Write DIR/nginx.conf and what it names, replacing an older configuration; returns its path.

    ValueError for options that cannot be written as a configuration, for a folder with files that are not ours, and for
    one in which nginx's workers could replace what root opens. The log says what the workers will not be able to reach.
    """
    folder = directory.absolute()
    staff, written = workers(options.user), _written(folder, options)
    texts = dict(_render(folder, replace(options, variable=written), staff))
    _check_ours(folder)
    places = (folder, *written.places)
    if staff is not None and os.geteuid() == 0:  # nginx of anybody else has no other workers, whatever it was told
        _check_safe(places, staff)
    _make_folders(places, staff)
    (folder / _MARK).touch(0o644)
    if staff is not None and os.geteuid() == 0:  # as above
        drop_foreign(written.cache, staff)
    for name in _SECRETS:
        (folder / name).unlink(missing_ok=True)
    for name, text in texts.items():
        _write(folder / name, text, 0o600 if name in _SECRETS else 0o644)
    _warn(staff, written, options)
    return folder / "nginx.conf"


def _written(folder: Path, options: NginxOptions) -> Variable:
    return options.variable or Variable.beside(folder)


def _check_ours(folder: Path) -> None:
    """A folder is ours when it is new, empty, or bears our mark."""
    try:
        found = sorted(place.name for place in folder.iterdir())
    except FileNotFoundError:
        return
    if found and _MARK not in found and not _begins_as_ours(folder / "nginx.conf"):
        some = ", ".join([*found[:_SHOWN], "..."] if len(found) > _SHOWN else found)
        raise ValueError(f"{folder} holds what is not ours ({some}): choose a folder of its own, say {folder}/mirror")


def _begins_as_ours(configuration: Path) -> bool:
    try:
        with configuration.open("rb") as file:
            return file.read(len(_WRITTEN_BY)) == _WRITTEN_BY
    except OSError:
        return False


def _check_safe(places: Iterable[Path], staff: Workers) -> None:
    for place in places:
        open_to = snare(place, staff)
        if open_to is not None:
            raise ValueError(
                f"nginx's workers run as {staff.user}, who may replace files in {open_to}, which root would open: "
                f"chown root {open_to} and chmod go-w {open_to}, or choose another folder or front.user"
            )


def _make_folders(places: Iterable[Path], staff: Workers | None) -> None:
    for place in places:
        if not place.exists():
            place.mkdir(parents=True)
            if staff is not None:
                place.chmod(_FOLDER_MODE)


def _warn(staff: Workers | None, written: Variable, options: NginxOptions) -> None:
    """Say at once what would make every answer a 502. `staff` None: where root starts it, which nobody knows yet."""
    target, tokens = options.target, options.tokens
    used = [written.cache, written.temp]
    used += [] if tokens is None else [tokens.absolute().parent]
    cold = None if target.tiers is None else target.tiers.at
    used += [place.root.absolute() for place in (target, cold) if isinstance(place, DirectoryTarget)]
    try:
        who, when = (ordinary(), "if root starts it, ") if staff is None else (staff, "")
    except ValueError:
        return  # nobody here for root's nginx: whoever starts it runs the workers
    told: set[Path] = set()
    for place in used:
        closed = barrier(place, who)
        if closed is not None and closed not in told:
            told.add(closed)
            _log.warning(
                "front.closed",
                folder=str(closed),
                reason=f"{when}nginx's workers run as {who.user}, who may not enter {closed}, and so cannot use "
                f"{place}; chmod o+x {closed}, or choose another folder",
            )
    if tokens is not None and not who.may_read(tokens):
        _log.warning(
            "front.closed",
            folder=str(tokens),
            reason=f"{when}nginx's workers run as {who.user}, who may not read {tokens}, and so know no token; "
            f"chmod o+r {tokens}, which holds none",
        )


def _render(folder: Path, options: NginxOptions, staff: Workers | None) -> Iterator[tuple[str, str]]:
    """File names and their texts; the configuration comes last, so that what it names is there."""
    target = options.target
    bucket = described(target, options.resolvers)
    if isinstance(target, S3Target) and bucket["signed"]:
        yield CREDENTIALS, json.dumps({"access_key": target.access_key, "secret_key": target.secret_key})
    if options.desk is not None:
        yield _FOR_DAEMON, f"proxy_set_header {SECRET} {_quoted(_sendable(options.desk.secret))};\n"
    templates = Environment(
        loader=PackageLoader("mirror_sync.front"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  what is rendered is nginx's language and JavaScript, each with its own quoting
        keep_trailing_newline=True,
    )
    templates.filters.update(json=json.dumps, quoted=_quoted)
    body = _written(folder, options).temp / "body"
    told = ToldTokens.of(options.tokens, options.access, body / "vouched")
    for name in _MODULES:
        yield name, templates.get_template(name).render()
    for name in _RENDERED:
        yield name, templates.get_template(f"{name}.j2").render(_tables(body, options, bucket, told))
    configuration = _configuration(folder, options, bucket, told) | {"user": staff and staff.directive}
    yield "nginx.conf", templates.get_template("nginx.conf.j2").render(configuration)


def _tables(body: Path, options: NginxOptions, bucket: dict[str, Any], told: ToldTokens) -> dict[str, Any]:
    kept = answers.caching_words(options.caching)
    return {
        "public_url": _public(options.public_url),
        "said": answers.SAID,
        "replicas": [{"name": one.name, "url": _public(one.url)} for one in options.replicas],
        "prefix": answers.PREFIX,
        "protocols": PROTOCOLS,
        "constants": {protocol.name: protocol.constants for protocol in PROTOCOLS if protocol.constants},
        "routes": _TABLE.routes,
        "lacks": _TABLE.lacks,
        "forms": answers.FORMS,
        "manners": _TABLE.manners,
        "tokens_in": tokens_in,
        "numbers": answers.NUMBERS,
        "readable": GET,
        "oci_codes": answers.OCI_CODES,
        "layers": _layers(options),
        "shut": sorted(shut_routes(PROTOCOLS, options.doors)),
        "dots": DOTS,
        "media_types": answers.MEDIA_TYPES,
        "site_types": SITE_TYPES,
        "binary": answers.BINARY,
        "text": answers.TEXT,
        "lfs_pointer": LFS_POINTER,
        "caching": {
            "immutable": kept[answers.IMMUTABLE],
            "settled": answers.SETTLED,
            "moving": kept[answers.MOVING],
            "linked": kept[answers.LINKED],
            "never": answers.NEVER,
            "checked": answers.CHECKED,
        },
        "messages": {
            "path": answers.BAD_PATH,
            "cursor": answers.BAD_CURSOR,
            "body": answers.BAD_BODY,
            "paths": answers.MANY_PATHS,
            "address": answers.LONG_ADDRESS,
            "gone": answers.GONE,
            "nothing": answers.NOTHING,
            "site": answers.NO_SITE,
            "method": answers.NO_METHOD,
            "repo": answers.NO_REPO,
            "revision": answers.NO_REVISION,
            "entry": answers.NO_ENTRY,
            "pointer": answers.NO_POINTER,
            "digests": answers.NO_DIGESTS,
            "lists": answers.LIST_LIMITS,
            "order": answers.UNKNOWN_ORDER,
            "sorted": answers.MANY_SORTED,
            "limit": answers.BAD_LIMIT,
            "gated": answers.BAD_GATED,
            "unlisted": answers.NO_LISTS,
            "range": answers.NO_RANGE,
            "bucket": answers.BAD_BUCKET,
            "token": answers.WHOSE,
            "strange": answers.STRANGER,
            "outside": answers.OUTSIDE,
            "too_much": answers.TOO_MUCH,
            "see_only": answers.SEE_ONLY,
            "not_all": answers.NOT_ALL,
        },
        "again": str(AGAIN),
        "preflight": PREFLIGHT if options.cors.origins else None,
        "list": {
            "line": published_lists.LINE,
            "keys": sorted(answers.LIST_KEYS),
            "page": answers.LIST_PAGE,
            "reads": answers.LIST_READS,
            "sorted": answers.SORTED_READS,
            "orders": answers.ORDERS,
            "yes_or_no": answers.YES_OR_NO,
            "harnesses": answers.HARNESSES,
        },
        "page_data": {
            "places": page_data.DATA,
            "rows": page_data.ROWS,
            "begins": page_data.BEGINS,
            "ends": page_data.ENDS,
        },
        "standings": answers.STANDINGS,
        "decided": answers.DECIDED,
        "missing": answers.MISSING,
        "up": answers.UP,
        "html": answers.HTML,
        "most_paths": answers.MOST_PATHS,
        "longest_path": MAX_PATH_BYTES,
        "longest_address": answers.LONGEST_ADDRESS,
        "size_said_up_to": answers.SIZE_SAID_UP_TO,
        "sizeless": answers.SIZELESS,
        "unknown_counts": answers.UNKNOWN_COUNTS,
        "added": answers.ADDED,
        "page": listing.PAGE,
        "heavy": listing.HEAVY,
        "formats": FORMATS,
        "ref_groups": GROUPS,
        "site": options.site,
        "by_digest": options.by_digest,
        "kernel_publishers": sorted(options.kernel_publishers),
        "publisher": answers.PUBLISHER,
        "torrents": {"trackers": options.torrents.trackers, "private": options.torrents.private},
        "misses": _misses(options.desk),
        "access": _access(options.access, options.tokens),
        "readers": _readers(options.access, options.tokens, body / "tokens-", told),
        "sliced_from": SLICED_FROM if _is_sliced(options) else None,
        "tells_heads": _tells_heads(options),
        "bucket": {name: bucket.get(name, "") for name in (*_OF_BUCKET, "cold_root", "cold_far", "frozen")},
    }


_OF_BUCKET = ("signed", "host", "base", "region", "root")


def _misses(desk: DeskOptions | None) -> dict[str, Any]:
    """What `tables.js` is rendered from."""
    plain_values = {
        "target": "" if desk is None else desk.target,
        "mode": "404" if desk is None else desk.mode,
        "modes": missed.MODES,
        "other": missed.OTHER,
        "in_modes": missed.IN_MODES,
        "nobody": missed.NOBODY,
        "passed": PASSED,
        "longest": LONGEST,
        "cold": missed.COLD,
        "cold_again": missed.COLD_AGAIN,
    }
    return {"plain": plain_values, "kinds": missed.KINDS, "no_longer": missed.NO_LONGER}


def _sendable(secret: str) -> str:
    """As nginx's configuration can hold it. ValueError for what it would take for something else."""
    if "$" in secret or not secret.isascii() or not secret.isprintable():
        raise ValueError("http.front_secret has a letter that nginx cannot send: use plain letters and digits")
    return secret


def _readers(access: AccessRules, tokens: Path | None, shelves: Path, told: ToldTokens) -> dict[str, Any]:
    """What `settings.js` is rendered from. ValueError for a path that nginx cannot use."""
    return {
        "plain": {
            "allow": access.allow,
            "tokens": "" if tokens is None else plain(tokens.absolute()),
            "shelves": str(shelves),
            "vouched": told.folder if told.every else "",
            "writing": told.writing,
            "largest": LARGEST_FILE,
            "unread": UNREAD,
        },
        "roles": dict.fromkeys(access.roles, True),
        "token_line": TOKEN_LINE,
        "other_line": OTHER_LINE,
    }


def _access(access: AccessRules, tokens: Path | None) -> dict[str, Any]:
    """What `tables.js` is rendered from."""
    return {
        "plain": {
            "allow": access.allow,
            "all_opened": access.all_opened,
            "tokens": tokens is not None,
            "chooses": tokens is not None or bool(access.allow),
            "badges": [badge.value for badge in Badge],
            "barred": answers.BARRED,
            "challenge": answers.CHALLENGE,
            "whom": access.whom_to_ask,
        },
        "anonymous": [one.encode() for one in access.anonymous],
        "roles": {name: _role(role) for name, role in access.roles.items()},
        "opened": [one.encode() for one in access.opened],
        "whole": WHOLE,
        "whoami": answers.WHOAMI,
    }


def _role(role: Role) -> dict[str, Any]:
    return {"read": [one.encode() for one in role.read], "see": [one.encode() for one in role.see]}


def _configuration(folder: Path, options: NginxOptions, bucket: dict[str, Any], told: ToldTokens) -> dict[str, Any]:
    secured = answers.SECURED if options.tls else {}
    written, target = _written(folder, options), options.target
    return {
        "folder": plain(folder),
        "logs": plain(written.logs),
        "cache": plain(written.cache),
        "temp": plain(written.temp),
        # nginx tries patterns in this order: those of the Hub, which is last and asked most, come first
        "locations": [protocol.locations for protocol in reversed(PROTOCOLS) if protocol.locations],
        "js_module": str(options.js_module),
        "listen": address(options.host, options.port),
        "inner_name": f"pointers-{secrets.token_hex(16)}.invalid",
        "self_scheme": "https" if options.tls else "http",
        "self_address": address(own_address(options.host), options.port),
        "modelscope": ASKED_BY_MANY,
        "answers_key": r"\n".join(["$scheme", *([] if options.public_url else _SAID), "$request_uri"]),
        "refs_seconds": options.refs_seconds,
        "forgotten_seconds": FORGOTTEN_SECONDS + options.refs_seconds,
        "origins": _origins(options.cors),
        "safety_headers": answers.SAFETY | _opening(options.cors) | secured,
        "site_headers": answers.SITE_SAFETY | _opening(options.cors) | secured,
        "tls": options.tls,
        "certificate": options.tls and plain(options.tls.certificate),
        "key": options.tls and plain(options.tls.key),
        "types": _types(),
        "site_types": SITE_TYPES,
        "packed": _packed(),
        "nothing": answers.NOTHING,
        "never": answers.NEVER,
        "json": answers.JSON,
        "binary": answers.BINARY,
        "oci_manifest": OCI_MANIFEST,
        "layers": _layers(options),
        "replicas": list(range(len(options.replicas))),
        "hidden": _HIDDEN,
        "for_daemon": _FOR_DAEMON,
        "desk": None
        if options.desk is None
        else {
            "address": address(options.desk.host, options.desk.port),
            "connect": "500ms",
            "patience": f"{PATIENCE:.0f}s",
        },
        "s3": _s3(options),
        "watch": options.watch and address(*options.watch),
        "connections": CONNECTIONS,
        # of a bucket behind S3 each reader holds two
        "readers_each": CONNECTIONS // (2 if isinstance(target, S3Target) else 1),
        "no_body": Sha256.of(b""),
        "bucket": bucket,
        "limits": options.limits,
        "queue": _queue(options.limits),
        "open_paths": [route.pattern() for route in _TABLE.routes if route.needs is Need.NOTHING],
        "proxies": options.access.proxies,
        "bounded": bool(options.access.allow),
        "varies": options.tokens is not None,
        "told": told.every,
        "told_token": TOLD_TOKEN,
        "vouched_at": f"{told.folder}{told.writing}",
        "manners": _TABLE.manners,
        "tokens_in": tokens_in,
        "sliced": _is_sliced(options),
        "tells_heads": _tells_heads(options),
        "cache_size": options.cache_size,
        "slice_size": SLICE_SIZE,
    }


def _s3(options: NginxOptions) -> dict[str, Any] | None:
    """What nginx itself needs for the S3 door; None where that is shut."""
    if DOOR not in options.doors:
        return None
    refused = Refusal(405, answers.NO_METHOD).in_form(answers.S3_FORM).answer
    return {
        "listen": "" if options.s3_listen is None else address(*options.s3_listen),
        "port": "" if options.s3_listen is None else str(options.s3_listen[1]),
        "marks": MARKS,
        "signed": SIGNED,
        "query": MARKED_QUERY,
        "xml": answers.XML,
        "words": answers.NO_METHOD,
        "refused": bytes(refused.body).decode() if isinstance(refused.body, bytes) else "",
    }


def _queue(limits: ReaderLimits) -> str:
    """The words of limit_req for how many may wait, and how many need not: nginx counts none for the first."""
    free = limits.at_once - 1
    words = {"burst": free + limits.waiting, "delay": free}
    return "".join(f" {word}={count}" for word, count in words.items() if count)


def _tells_heads(options: NginxOptions) -> bool:
    """Whether nginx tells the head of a file without the script: behind S3 it would ask the bucket for it."""
    return isinstance(options.target, DirectoryTarget)


def _is_sliced(options: NginxOptions) -> bool:
    return isinstance(options.target, S3Target) and options.cache_size > 0


def _layers(options: NginxOptions) -> str:
    """The host and port of what puts layers together; empty where that door is not open."""
    if options.layers is None or IMAGES not in options.doors:
        return ""
    found = _LAYERS.fullmatch(options.layers)
    if found is None:
        raise ValueError(f"front.oci.layers {options.layers!r}: write http://127.0.0.1:8081")
    return found[1]


def _packed() -> list[str]:
    """As gzip_types compares them: a file has its type whole, what comes from S3 without its charset."""
    whole = set(SITE_TYPES.values())
    return sorted(whole | {media_type.partition(";")[0] for media_type in whole} - {"text/html"})  # which is implied


def _types() -> dict[str, list[str]]:
    types: dict[str, list[str]] = {}
    for suffix, media_type in answers.MEDIA_TYPES.items():
        types.setdefault(media_type, []).append(suffix)
    return types


def _public(url: str | None) -> str:
    if url is not None and _PUBLIC.fullmatch(url) is None:
        raise ValueError(f"public_url {url!r}: write https://models.example.org")
    return url or ""


def _origins(rule: Cors) -> tuple[str, ...]:
    for origin in rule.named:
        if ENDPOINT.fullmatch(origin) is None:
            raise ValueError(f"cors {origin!r}: write https://app.example.org")
    return rule.named


def _opening(rule: Cors) -> dict[str, str]:
    """Headers for pages of other origins; where these have names, nginx looks each up."""
    if not rule.named:
        return rule.headers("")
    return {ALLOW_ORIGIN: "$readable_by", **SHOWN, "Vary": "Origin"}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write(path: Path, text: str, mode: int) -> None:
    """Replace a file; the new one has its mode from its first byte on."""
    staged = path.with_name(f".{path.name}.new")
    staged.unlink(missing_ok=True)
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    staged.replace(path)

"""Writes the configuration of the nginx front: nginx.conf, the njs modules and, for a private bucket, its credentials.

What is written starts as it is with `nginx -c DIR/nginx.conf` (nginx 1.22 with njs 0.7.9, Debian 12), without root when
the port allows: logs, caches and temporary files stay in DIR.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

from mirror_sync.domain.digest import Sha256
from mirror_sync.front import answers, routes

POINTER_SECONDS = 10
CREDENTIALS = "s3-credentials.json"
_SCRIPTS = ("answers.js", "bucket.js", "listing.js", "mirror.js", "requests.js", "signing.js", "snapshots.js")
_FOLDERS = ("logs", "temp", "cache")
_ENDPOINT = re.compile(r"https?://(?:[A-Za-z0-9.\-_]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?/?")
_NAME = re.compile(r"[A-Za-z0-9._\-]+")
# What a bucket says about an object that is not what the Hub says about the file.
_HIDDEN = (
    *("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "ETag"),
    *("Expires", "Last-Modified", "Set-Cookie", "Vary", "x-amz-id-2", "x-amz-request-id", "x-amz-version-id"),
    *("x-amz-server-side-encryption", "x-rgw-object-type"),
)


@dataclass(frozen=True, slots=True)
class DirectoryBucket:
    """A directory target, read by nginx's workers."""

    root: Path


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """An S3 target. No `endpoint_url`: AWS's own for the region. No keys: the bucket is public and read unsigned.

    `resolvers` are the DNS servers that nginx asks for the endpoint's name again and again, None for those of
    /etc/resolv.conf; with () the name is looked up once, when nginx starts, and connections are kept.
    """

    bucket: str
    endpoint_url: str | None = None
    prefix: str = ""
    region: str = "us-east-1"
    addressing: Literal["path", "virtual"] = "path"
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    resolvers: tuple[str, ...] | None = None
    ca_bundle: Path = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True)
class NginxOptions:
    """`user` runs the workers when nginx is started by root; None: the owner of the folder that is written to."""

    target: DirectoryBucket | S3Bucket
    host: str = "127.0.0.1"
    port: int = 8080
    refs_seconds: int = 1
    user: str | None = None
    js_module: Path = Path("/usr/lib/nginx/modules/ngx_http_js_module.so")


def write_nginx(directory: Path, options: NginxOptions) -> Path:
    """Write DIR/nginx.conf and what it names, replacing an older configuration; returns its path.

    ValueError for options that cannot be written as a configuration.
    """
    folder = directory.absolute()
    texts = dict(_render(folder, options))
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / CREDENTIALS).unlink(missing_ok=True)
    for name, text in texts.items():
        _write(folder / name, text, 0o600 if name == CREDENTIALS else 0o644)
    return folder / "nginx.conf"


def _render(folder: Path, options: NginxOptions) -> Iterator[tuple[str, str]]:
    """File names and their texts; the configuration comes last, so that what it names is there."""
    target = options.target
    bucket = _directory(target) if isinstance(target, DirectoryBucket) else _s3(target)
    if isinstance(target, S3Bucket) and bucket["signed"]:
        yield CREDENTIALS, json.dumps({"access_key": target.access_key, "secret_key": target.secret_key})
    templates = Environment(
        loader=PackageLoader("mirror_sync.front"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  what is rendered is nginx's language and JavaScript, each with its own quoting
        keep_trailing_newline=True,
    )
    templates.filters.update(json=json.dumps, quoted=_quoted)
    for name in _SCRIPTS:
        yield name, templates.get_template(name).render()
    yield "tables.js", templates.get_template("tables.js.j2").render(_tables(bucket))
    yield "nginx.conf", templates.get_template("nginx.conf.j2").render(_configuration(folder, options, bucket))


def _tables(bucket: dict[str, Any]) -> dict[str, Any]:
    return {
        "routes": routes.ROUTES,
        "dots": routes.DOTS,
        "media_types": answers.MEDIA_TYPES,
        "binary": answers.BINARY,
        "caching": {
            "immutable": answers.IMMUTABLE,
            "settled": answers.SETTLED,
            "moving": answers.MOVING,
            "never": answers.NEVER,
        },
        "messages": {
            "path": answers.BAD_PATH,
            "cursor": answers.BAD_CURSOR,
            "body": answers.BAD_BODY,
            "gone": answers.GONE,
            "nothing": answers.NOTHING,
            "method": answers.NO_METHOD,
            "repo": answers.NO_REPO,
            "revision": answers.NO_REVISION,
            "entry": answers.NO_ENTRY,
            "range": answers.NO_RANGE,
            "bucket": answers.BAD_BUCKET,
        },
        "bucket": {name: bucket.get(name, "") for name in ("signed", "host", "base", "region")},
    }


def _configuration(folder: Path, options: NginxOptions, bucket: dict[str, Any]) -> dict[str, Any]:
    return {
        "folder": _plain(folder),
        "js_module": str(options.js_module),
        "user": options.user or _owner(folder),
        "listen": _address(options.host, options.port),
        "self_address": _address(_own_address(options.host), options.port),
        "refs_seconds": options.refs_seconds,
        "pointer_seconds": POINTER_SECONDS,
        "safety_headers": answers.SAFETY,
        "types": _types(),
        "hidden": _HIDDEN,
        "no_body": Sha256.of(b""),
        "bucket": bucket,
    }


def _directory(target: DirectoryBucket) -> dict[str, Any]:
    return {"kind": "directory", "signed": False, "root": _plain(target.root.absolute())}


def _s3(target: S3Bucket) -> dict[str, Any]:
    _check(target)
    url = urlsplit(target.endpoint_url or f"https://s3.{target.region}.amazonaws.com")
    host = url.hostname or ""
    virtual = target.addressing == "virtual"
    name = f"{target.bucket}.{host}" if virtual else host
    port = url.port or (443 if url.scheme == "https" else 80)
    resolvers = _resolvers(host) if target.resolvers is None else target.resolvers
    parts = [*([] if virtual else [target.bucket]), *filter(None, target.prefix.split("/"))]
    return {
        "kind": "s3",
        "signed": target.access_key is not None,
        "scheme": url.scheme,
        "region": target.region,
        "server": _address(host, port),
        "server_name": name,
        "authority": _address(name, port) if resolvers else "bucket",
        "host": _address(name, url.port),
        "base": "".join(f"/{quote(part, safe='')}" for part in parts) + "/",
        "resolvers": [_address(server, None) for server in resolvers],
        "ca_bundle": str(target.ca_bundle),
    }


def _check(target: S3Bucket) -> None:
    """ValueError for what nginx, or S3, would not take as it is meant."""
    if (target.access_key is None) != (target.secret_key is None):
        raise ValueError("an access key and a secret key go together")
    if target.endpoint_url is not None and _ENDPOINT.fullmatch(target.endpoint_url) is None:
        raise ValueError(f"endpoint_url {target.endpoint_url!r}: write http://host:port or https://host")
    for word in (target.bucket, target.region):
        if _NAME.fullmatch(word) is None:
            raise ValueError(f"{word!r} is no name of a bucket or a region")


def _resolvers(host: str, resolv_conf: Path = Path("/etc/resolv.conf")) -> tuple[str, ...]:
    """The system's name servers; none for a host that needs no looking up."""
    if host == "localhost" or _is_ip(host) or not resolv_conf.exists():
        return ()
    lines = (line.split() for line in resolv_conf.read_text(errors="replace").splitlines())
    return tuple(words[1] for words in lines if words[:1] == ["nameserver"] and _is_ip(words[1]))


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _address(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def _own_address(host: str) -> str:
    return {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared


def _types() -> dict[str, list[str]]:
    types: dict[str, list[str]] = {}
    for suffix, media_type in answers.MEDIA_TYPES.items():
        types.setdefault(media_type, []).append(suffix)
    return types


def _owner(folder: Path) -> str | None:
    """Root starts workers as somebody; anybody else as themselves, and nginx complains when told so."""
    if os.geteuid() != 0:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return folder.owner()


def _plain(path: Path) -> str:
    """ValueError for a path with a `$`: nginx would take it for a variable, and has no way to write it otherwise."""
    if "$" in str(path) or "\n" in str(path):
        raise ValueError(f"{path}: nginx cannot use a path with '$' or a line feed")
    return str(path)


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

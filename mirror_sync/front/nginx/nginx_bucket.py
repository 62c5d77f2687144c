"""The bucket that nginx reads: where it is, as the templates and the njs modules are told."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mirror_sync.domain.job.targets import DirectoryTarget, S3Target, Target
from mirror_sync.domain.url import Url
from mirror_sync.owners import is_there

ENDPOINT = re.compile(r"https?://(?:[A-Za-z0-9.\-_]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?/?")
_NAME = re.compile(r"[A-Za-z0-9._\-]+")
_REGION = "us-east-1"  # where none is said, as boto3 takes it
_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def described(target: Target, resolvers: tuple[str, ...] | None = None) -> dict[str, Any]:
    """What the templates need to know; a bucket without keys is public, and read unsigned.

    `resolvers` are the DNS servers that nginx asks for the endpoint's name again and again, None for those of
    /etc/resolv.conf; with () the name is looked up once, when nginx starts, and connections are kept. ValueError for
    what cannot be written as a configuration.
    """
    found = _directory(target) if isinstance(target, DirectoryTarget) else _s3(target, resolvers)
    return {**found, **_cold(target)}


def _cold(target: Target) -> dict[str, Any]:
    """Where what is not in the bucket may be: in a folder, or where nginx does not look itself; and whether the bucket
    may refuse what has to be restored first.
    """
    tiers = target.tiers
    at = None if tiers is None else tiers.at
    return {
        "cold_root": plain(at.root.absolute()) if isinstance(at, DirectoryTarget) else "",
        "cold_far": isinstance(at, S3Target),
        "frozen": tiers is not None and tiers.at is None,
    }


def _directory(target: DirectoryTarget) -> dict[str, Any]:
    return {"kind": "directory", "signed": False, "root": plain(target.root.absolute())}


def _s3(target: S3Target, resolvers: tuple[str, ...] | None) -> dict[str, Any]:
    region = target.region or _REGION
    _check(target, region)
    url = Url.parse(target.endpoint_url or f"https://s3.{region}.amazonaws.com")
    host = url.host
    virtual = target.addressing == "virtual"
    name = f"{target.bucket}.{host}" if virtual else host
    resolvers = _resolvers(host) if resolvers is None else resolvers
    parts = [*([] if virtual else [target.bucket]), *filter(None, target.prefix.split("/"))]
    return {
        "kind": "s3",
        "signed": target.access_key is not None,
        "scheme": url.scheme,
        "region": region,
        "server": address(host, url.port),
        "server_name": name,
        "authority": address(name, url.port) if resolvers else "bucket",
        "host": replace(url, host=name).netloc,
        "base": "".join(f"/{quote(part, safe='')}" for part in parts) + "/",
        "resolvers": [address(server, None) for server in resolvers],
        "ca_bundle": _CA_BUNDLE,
    }


def _check(target: S3Target, region: str) -> None:
    """ValueError for what nginx, or S3, would not take as it is meant."""
    if (target.access_key is None) != (target.secret_key is None):
        raise ValueError("an access key and a secret key go together")
    if target.endpoint_url is not None and ENDPOINT.fullmatch(target.endpoint_url) is None:
        raise ValueError(f"endpoint_url {target.endpoint_url!r}: write http://host:port or https://host")
    for word in (target.bucket, region):
        if _NAME.fullmatch(word) is None:
            raise ValueError(f"{word!r} is no name of a bucket or a region")


def _resolvers(host: str, resolv_conf: Path = Path("/etc/resolv.conf")) -> tuple[str, ...]:
    """The system's name servers; none for a host that needs no looking up."""
    if host == "localhost" or _is_ip(host) or not is_there(resolv_conf):
        return ()
    lines = (line.split() for line in resolv_conf.read_text(errors="replace").splitlines())
    return tuple(words[1] for words in lines if words[:1] == ["nameserver"] and _is_ip(words[1]))


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def address(host: str, port: int | None) -> str:
    """A host and a port, as a configuration or a URL has them."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def plain(path: Path) -> str:
    """ValueError for a path with a `$`: nginx would take it for a variable, and has no way to write it otherwise."""
    if "$" in str(path) or "\n" in str(path):
        raise ValueError(f"{path}: nginx cannot use a path with '$' or a line feed")
    return str(path)

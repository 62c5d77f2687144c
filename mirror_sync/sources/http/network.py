"""How a source reaches the network: trusted certificates and proxies, as the environment states them."""

from __future__ import annotations

import ipaddress
import os
import ssl
from pathlib import Path
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed

from mirror_sync.domain.url import Url
from mirror_sync.errors import UpstreamError

_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def spoken_origin(url: str) -> str:
    """The origin for a message: signed addresses carry secrets behind it."""
    try:
        place = Url.parse(url)
    except ValueError:
        return "an address that is none"
    return f"{place.scheme}://{place.netloc}"


def trusted() -> ssl.SSLContext:
    """The certificates of SSL_CERT_FILE (or its cousins of requests and curl), else the system's.

    UpstreamError when the named file holds none.
    """
    name = next((name for name in _BUNDLES if os.environ.get(name)), None)
    if name is None:
        return _system_trust()
    bundle = os.environ[name]
    try:
        if Path(bundle).is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:  # ssl.SSLError is one
        raise UpstreamError(f"{name}={bundle}: cannot be read as certificates: {error.strerror or error}") from error


def proxy_for(place: Url) -> str | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name for an address, as a URL."""
    host = place.host.rstrip(".")  # the dot of a full name changes nothing about where it leads
    named = getproxies_environment()
    if proxy_bypass_environment(f"{host}:{place.port}", named) or _in_excepted_network(host, named.get("no", "")):
        return None
    proxy = named.get(place.scheme) or named.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def _system_trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    places = ssl.get_default_verify_paths()
    if places.cafile is None and places.capath is None and not os.environ.get("SSL_CERT_DIR"):
        # a Python that was built elsewhere looks where this system keeps nothing
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return context


def _in_excepted_network(host: str, no_proxy: str) -> bool:
    """Whether an address lies in a network of NO_PROXY (10.0.0.0/8), which urllib.request does not understand."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _networks(no_proxy))


def _networks(no_proxy: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for entry in no_proxy.split(","):
        try:
            found.append(ipaddress.ip_network(entry.strip(), strict=False))
        except ValueError:
            continue  # a name, not a network
    return found

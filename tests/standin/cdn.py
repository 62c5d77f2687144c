"""The second origin: file bytes behind signed URLs that expire."""

from __future__ import annotations

import hashlib
import hmac

from .answer import Answer, Refusal, Request
from .content import Memory
from .ranges import file_answer
from .tree import File
from .world import World

_SECRET = b"a key that only the stand-in knows"


def signed_url(world: World, file: File, name: str) -> str:
    """Return a CDN URL of a file that is valid for the lifetime set in `Behaviour`."""
    digest = file.content.sha256
    world.offered[digest] = file
    path = f"/repos/{digest[:2]}/{digest[2:4]}/{digest}"
    expires = int(world.clock.now() + world.behaviour.url_lifetime)
    shown = f"response-content-disposition=inline%3B+filename%3D%22{name}%22"
    return f"{world.cdn_url}{path}?{shown}&Expires={expires}&Signature={_signature(path, expires)}"


def answer(world: World, request: Request) -> Answer:
    """Answer a request for a signed URL; 403 when it expired or was tampered with."""
    if request.method not in {"GET", "HEAD"}:
        raise _denied(405, "MethodNotAllowed", "The specified method is not allowed.")
    expires = request.first("Expires", "0")
    if not expires.isdigit() or not hmac.compare_digest(
        request.first("Signature").encode(), _signature(request.path, int(expires)).encode()
    ):
        raise _denied(403, "SignatureDoesNotMatch", "The signature does not match.")
    if int(expires) < world.clock.now():
        raise _denied(403, "AccessDenied", "Request has expired")
    file = world.offered.get(request.path.rpartition("/")[2])
    if file is None:
        raise _denied(404, "NoSuchKey", "The specified key does not exist.")
    most = world.behaviour.cdn_whole_up_to
    if most is not None and file.size > most and "range" not in request.headers:
        raise _denied(400, "InvalidRequest", "The file is too large to be sent whole.")
    return file_answer(request, file.content, _headers(file))


def _headers(file: File) -> dict[str, str]:
    # An object store's own ETag, which says nothing about the SHA-256.
    etag = hashlib.md5(file.content.sha256.encode(), usedforsecurity=False).hexdigest()
    return {
        "Content-Type": "application/octet-stream",
        "ETag": f'"{etag}-7"',
        "Last-Modified": "Thu, 01 Jan 2026 08:00:00 GMT",
        "Cache-Control": "public, max-age=31536000",
    }


def _signature(path: str, expires: int) -> str:
    return hmac.new(_SECRET, f"{path} {expires}".encode(), hashlib.sha256).hexdigest()


def _denied(status: int, code: str, message: str) -> Refusal:
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Refusal(Answer(status, {"Content-Type": "application/xml"}, Memory(text.encode())))

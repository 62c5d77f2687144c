"""A registry of OCI, to read from: what is mirrored, as clients of containers, Ollama and Docker Model Runner ask.

    /v2/                                            that it is one; and the way to a token, where there are some
    /v2/<name>/manifests/<tag | sha256:digest>      a commit as a ModelPack, one GGUF quantization of it, or an image
    /v2/<name>/blobs/sha256:<digest>                a file of a published commit, or a document of it
    /v2/<name>/tags/list, /v2/<name>/referrers/...  names of commits; what proves one

Sources: distribution-spec 1.1 of OCI; distribution/docs/content/spec/auth/token.md; what clients were seen to ask. The
documents are attachments of roots: domain/doors/oci_documents.py. Answers name a digest in the header of the spec, and
a blob in `Location` where it is: Ollama wants that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import Any

from mirror_sync.domain.access.access_tokens import Badge, credential
from mirror_sync.domain.access.rights import Need
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, Refs
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.doors.oci_documents import (
    DOCKER_MANIFEST,
    GIVEN,
    LATEST,
    LAYER,
    MANIFEST,
    MORE,
    MOST_FILES,
    OCI_INDEX,
    OCI_MANIFEST,
    TAG,
    MoreDocuments,
    layer_size,
)
from mirror_sync.domain.doors.oci_images import DOOR as IMAGES
from mirror_sync.domain.doors.oci_images import IMAGE, LARGEST_LAYERS, LAYERS, SUFFIX, ImageLayer, ImageTexts, layer_of
from mirror_sync.domain.doors.tar_layers import LayerFile, between, pieces_of
from mirror_sync.domain.job.cooling import LEAST
from mirror_sync.errors import KeyMissing
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Answer, BlobSlice, JoinedSlices, Refusal
from mirror_sync.front.hub.conditions import content
from mirror_sync.front.hub.doorkeeper import from_base64, unauthorized
from mirror_sync.front.hub.front_request import Fields, FrontRequest
from mirror_sync.front.hub.protocol import FIELDS, GET, Answering, NotOffered, Protocol, Route
from mirror_sync.front.hub.served import Opened, Served

DOOR = "oci"
UNDER = "^/+v2(?:/.*)?$"
NO_DOCUMENTS = (
    "{repo} at {commit} has nothing for clients of registries yet: mirror-sync doors makes it for what was published "
    "before front: {oci: true} was written"
)
TOO_LARGE = "{repo} at {commit} has {files} files: more than a manifest can name"
NO_QUANT = "{repo} has no tag {tag}; its quantizations are {names}"
NO_OLLAMA = "{repo} at {commit} has no GGUF file that Ollama could load, which takes whole ones alone"
NO_IMAGE = (
    "{repo} at {commit} has no image: mirror-sync doors makes it for what was published before front: {oci: {images: "
    "true}} was written; a repo of very many files, or with a name that begins with .wh., can have none"
)
BAD_COUNT = "Bad n: a number is wanted"
MANY_COMMITS = "More is published of this repo than is searched for one digest: ask for what a name stands for"
MOST_READ = (
    16 << 20
)  # bytes of documents that are searched for one digest, of which a commit counts as many as these at least:
A_COMMIT = 64 << 10
NOBODY = "anonymous"  # the token of who has none: it counts for nothing
_NOT_HERE = "Nothing is at this address of a registry; front: {oci: true} in jobs.yaml opens the door"
_VERSION = {"Docker-Distribution-API-Version": "registry/2.0"}
_FEW = 1000  # tags that are listed at once, where nobody says how many


class OciRegistry:
    """Answers the routes below; raises Refusal, Elsewhere, StoreError, DocumentError. Safe for many threads."""

    def __init__(self, served: Served) -> None:
        self._served, self._snapshots = served, served.snapshots
        self.answers: dict[str, Answering] = {
            "oci_base": self._base,
            "oci_token": self._token,
            "oci_tags": self._tags,
            "oci_referrers": self._referrers,
            "oci_pinned": self._pinned,
            "oci_manifest": self._manifest,
            "oci_blob": self._blob,
        }

    def _base(self, asked: FrontRequest, _fields: Fields) -> Answer:
        """Who is told nothing of tokens here sends none later: so where there are some, each is sent to get one."""
        if self._served.tokens and asked.reader.badge is Badge.NONE:
            raise self._unauthorized(answers.WHOSE)
        return _json({}, _VERSION | {"Cache-Control": answers.NEVER})

    def _token(self, asked: FrontRequest, _fields: Fields) -> Answer:
        """The token that was sent as a password, to be sent as a bearer's; who sends none gets one of nobody's."""
        if asked.reader.badge is Badge.UNKNOWN:
            raise self._unauthorized(answers.STRANGER)
        sent = credential(asked.headers.get("authorization", ""), from_base64)
        token = sent if asked.reader.badge is Badge.HELD else NOBODY
        return _json({"token": token, "access_token": token, "expires_in": 300}, {"Cache-Control": answers.NEVER})

    def _unauthorized(self, said: str) -> Refusal:
        return unauthorized(f"{said}; ask {self._served.access.whom_to_ask} for one")

    def _tags(self, asked: FrontRequest, fields: Fields) -> Answer:
        refs = self._served.refs_of(fields)
        count, last = asked.argument("n"), asked.argument("last")
        if count and re.fullmatch("[0-9]{1,9}", count, re.ASCII) is None:
            raise Refusal(400, BAD_COUNT)
        tags = [tag for tag in _tags_of(refs, self._quants_of_main(refs)) if tag > last]
        most = min(int(count or _FEW), _FEW)
        name = (fields["place"] + fields["id"]).lower()
        headers = {"Cache-Control": answers.MOVING}
        if 0 < most < len(tags):
            link = asked.link(f"/v2/{name}/tags/list?n={most}&last={tags[most - 1]}")
            headers |= {key.replace("_", "-"): value for key, value in link.items()}
        return _json({"name": name, "tags": tags[:most]}, headers)

    def _quants_of_main(self, refs: Refs) -> list[str]:
        """And, where there is one, its image."""
        digest = refs.root_of(DEFAULT_BRANCH)
        if digest is None:
            return []
        root = self._snapshots.root(digest)
        more = self._more(root)
        images = [] if self._image_of(root) is None else [f"{name}{SUFFIX}" for name in (DEFAULT_BRANCH, LATEST)]
        return [*images, *([] if more is None else more.names)]

    def _referrers(self, asked: FrontRequest, fields: Fields) -> Answer:
        """What proves the commit of a manifest; of any other digest there is nothing, which is no error."""
        wanted, digest, found = asked.argument("artifactType"), Sha256(fields["digest"]), list[Any]()
        for root in self._roots(fields, _Bound()):
            more = self._more(root) if root.attachments.get(MANIFEST) == digest else None
            if more is not None:
                found = [one for one in more.referrers if wanted in ("", one["artifactType"])]
                break
        headers = {"Content-Type": OCI_INDEX, "Cache-Control": answers.SETTLED}
        headers |= {"OCI-Filters-Applied": "artifactType"} if wanted else {}
        return _json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}, headers)

    def _manifest(self, asked: FrontRequest, fields: Fields) -> Answer:
        opened, quant = self._served.open(fields), fields.get("quant", "")
        more = self._more(opened.root)
        if more is None:
            raise _no_documents(fields, opened)
        docker = wants_docker(asked)
        if "image" in fields:
            return self._image(asked, fields, opened)
        if not quant and not docker:
            return self._document(asked, opened.root, opened.root.attachments[MANIFEST], opened.headers)
        found = more.quant(quant)
        if found is None and quant:
            raise _no_quant(fields, quant, more)
        digest = "" if found is None else found.ollama if docker else found.pack
        if not digest:
            raise _not_known(NO_OLLAMA, repo=fields["id"], commit=opened.commit)
        return _text(asked, more.texts, Sha256(digest), opened.headers)

    def _image(self, asked: FrontRequest, fields: Fields, opened: Opened) -> Answer:
        image = self._image_of(opened.root)
        if image is None:
            raise _not_known(NO_IMAGE, repo=fields["id"], commit=opened.commit)
        return _text(asked, image.texts, Sha256(image.index), opened.headers)

    def _pinned(self, asked: FrontRequest, fields: Fields) -> Answer:
        """A manifest by its digest, of any commit that is published."""
        digest, bound = Sha256(fields["digest"]), _Bound()
        for root in self._roots(fields, bound):
            headers = {"X_Repo_Commit": root.commit, "Cache_Control": answers.IMMUTABLE}
            if root.attachments.get(MANIFEST) == digest:
                return self._document(asked, root, digest, headers)
            more = self._more(root, digest, bound)
            if more is not None and digest in more.texts:
                return _text(asked, more.texts, digest, headers)
            image = self._image_of(root, digest, bound)
            if image is not None and digest in image.texts:
                return _text(asked, image.texts, digest, headers)
        raise answers.revision_not_found()

    def _document(self, asked: FrontRequest, root: Root, digest: Sha256, headers: dict[str, str]) -> Answer:
        return self._given(asked, digest, self._size(digest), _named(headers) | {"Content-Type": OCI_MANIFEST})

    def _blob(self, asked: FrontRequest, fields: Fields) -> Answer:
        digest, bound = Sha256(fields["digest"]), _Bound()
        where = {"Location": f"/{asked.raw_path.lstrip('/')}", "Content-Type": answers.BINARY}
        for root in self._roots(fields, bound):
            headers = where | {"X-Repo-Commit": root.commit, "Cache-Control": answers.IMMUTABLE}
            if digest in [root.attachments.get(name) for name in GIVEN]:
                return self._given(asked, digest, self._size(digest), headers)
            size = layer_size(bound.counted(self._snapshots.document(root.attachments[MANIFEST])), digest)
            if size is not None:
                return self._given(asked, digest, size, headers)
            more = self._more(root, digest, bound)
            if more is not None and digest in more.texts:
                return _text(asked, more.texts, digest, headers)
            image = self._image_of(root, digest, bound)
            if image is not None and digest in image.texts:
                return _text(asked, image.texts, digest, headers)
            if image is not None:
                return self._layer(asked, root, digest, headers)
        raise answers.entry_not_found()

    def _layer(self, asked: FrontRequest, root: Root, digest: Sha256, headers: dict[str, str]) -> Answer:
        """A layer of an image, which a manifest names: put together of its files as it is read."""
        layer = layer_of(self._snapshots.document(root.attachments[LAYERS], LARGEST_LAYERS), digest)
        if layer is None:
            raise answers.entry_not_found()  # a digest that stands in a text, and is of no layer
        return content(asked, layer.size, headers | _of(digest), partial(_joined, layer))

    def _given(self, asked: FrontRequest, digest: Sha256, size: int, headers: dict[str, str]) -> Answer:
        return content(asked, size, headers | _of(digest), partial(BlobSlice, digest))

    def _size(self, digest: Sha256) -> int:
        """Something published names it: it must be there."""
        stat = self._served.store.stat(blob_key(digest))
        if stat is None:
            raise KeyMissing(blob_key(digest))
        return stat.size

    def _more(self, root: Root, naming: str = "", bound: _Bound | None = None) -> MoreDocuments | None:
        """The small documents of a commit; None where there are none, and where none is of the digest `naming`."""
        digest = root.attachments.get(MORE)
        body = b"" if digest is None else self._snapshots.document(digest)
        if bound is not None:
            bound.counted(body)
        return MoreDocuments.decode(body) if body and naming.encode() in body else None

    def _image_of(self, root: Root, naming: str = "", bound: _Bound | None = None) -> ImageTexts | None:
        """What there is of a commit as an image, as `_more` has its documents; None where that is not given here."""
        digest = root.attachments.get(IMAGE) if IMAGES in self._served.doors else None
        body = b"" if digest is None else self._snapshots.document(digest)
        if bound is not None:
            bound.counted(body)
        return ImageTexts.decode(body) if body and naming.encode() in body else None

    def _roots(self, fields: Fields, bound: _Bound) -> Iterator[Root]:
        """Of all commits that have documents here, those first that have names: most are asked for by these."""
        refs = self._served.refs_of(fields)
        for digest in dict.fromkeys(refs.snapshots[commit] for commit in _in_order(refs)):
            bound.begin()
            root = self._snapshots.root(digest)
            if MANIFEST in root.attachments:
                yield root


class _Bound:
    """How much is read for a request that looks for a digest among all commits of a repo."""

    def __init__(self) -> None:
        self._read = 0

    def begin(self) -> None:
        """Another commit. Refusal 413 where enough was read."""
        if self._read >= MOST_READ:
            raise Refusal(413, MANY_COMMITS)
        self._read += A_COMMIT

    def counted(self, body: bytes) -> bytes:
        """The same."""
        self._read += len(body)
        return body


def _in_order(refs: Refs) -> list[Any]:
    main = refs.commit_of(DEFAULT_BRANCH)
    named = [main, *(ref.target for ref in refs.refs), *refs.channels.values()]
    return [commit for commit in (*named, *refs.snapshots) if commit in refs.snapshots]


def _tags_of(refs: Refs, quants: list[str]) -> list[str]:
    """Every name of a commit that is a tag, in the order of letters."""
    names = [ref.shortest for ref in refs.refs if ref.target in refs.snapshots]
    names += [name for name, commit in refs.channels.items() if commit in refs.snapshots]
    names += [LATEST] if refs.commit_of(DEFAULT_BRANCH) else []
    return sorted({name for name in (*names, *quants, *refs.snapshots) if re.fullmatch(TAG, name, re.ASCII)})


def wants_docker(asked: FrontRequest) -> bool:
    """Whether a client takes a manifest as Docker had it, and none of OCI: Ollama. Others send several such headers."""
    accept = ", ".join(said for name, said in asked.headers.items() if name == "accept")
    return DOCKER_MANIFEST in accept and not ("vnd.oci.image.manifest" in accept or "*/*" in accept)


def _of(digest: str) -> dict[str, str]:
    return {"Docker-Content-Digest": f"sha256:{digest}", "ETag": f'"{digest}"'}


def _joined(layer: ImageLayer, start: int, stop: int) -> JoinedSlices:
    """Bytes [start, stop) of a layer, its own ones joined with each other."""
    parts: list[bytes | BlobSlice] = []
    large: dict[Sha256, None] = {}
    touched = between(pieces_of(layer.files), start, stop)
    for is_file, group in groupby(touched, lambda one: isinstance(one[0], LayerFile)):
        if is_file:
            files = [(piece, first, last) for piece, first, last in group if isinstance(piece, LayerFile)]
            parts += [BlobSlice(file.sha256, first, last) for file, first, last in files]
            large |= {file.sha256: None for file, *_ in files if file.size >= LEAST}
        else:  # at once: of thousands of empty files each byte would be copied thousands of times
            parts.append(b"".join(piece[first:last] for piece, first, last in group if isinstance(piece, bytes)))
    return JoinedSlices(tuple(parts), tuple(large))


def _text(asked: FrontRequest, texts: Mapping[str, tuple[str, str]], digest: Sha256, said: dict[str, str]) -> Answer:
    media_type, text = texts[digest]
    body = text.encode()
    named = {"Content-Type": media_type, **_named(said), **_of(digest)}
    return content(asked, len(body), named, lambda start, stop: body[start:stop])


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _json(value: Any, headers: dict[str, str]) -> Answer:
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(200, {"Content-Type": answers.MEDIA_TYPES["json"], **headers}, body)


def _not_known(message: str, **words: str) -> Refusal:
    for word, said in words.items():
        message = message.replace(f"{{{word}}}", said)
    return Refusal(404, message, "RevisionNotFound")


def _no_documents(fields: Fields, opened: Opened) -> Refusal:
    words = {"repo": fields["id"], "commit": opened.commit}
    if opened.root.files > MOST_FILES:
        return _not_known(TOO_LARGE, files=str(opened.root.files), **words)
    return _not_known(NO_DOCUMENTS, **words)


def _no_quant(fields: Fields, quant: str, more: MoreDocuments) -> Refusal:
    if not more.names:
        return answers.revision_not_found()
    return _not_known(NO_QUANT, repo=fields["id"], tag=quant, names=", ".join(more.names))


def token_wanted(raw_path: str, origin: str) -> str:
    """Whoever has no token is told where one is given, but for that place; distribution's token.md."""
    if re.fullmatch(r"/+v2/token/?", raw_path):
        return ""
    found = re.fullmatch(r"/+v2/([A-Za-z0-9._/-]+)/(?:manifests|blobs|tags|referrers)/.*", raw_path)
    scope = f',scope="repository:{found[1]}:pull"' if found else ""
    return f'Bearer realm="{origin}/v2/token",service="mirror-sync"{scope}'


_FIELDS = FIELDS | {"rev": TAG, "colon": "(?::|%3[aA])"}
_DIGEST = "sha256{colon}{digest}"
_route: Callable[..., Route] = partial(Route, methods=GET, fields=_FIELDS, tagged=True)

OCI = Protocol(
    "oci",
    (
        Route("oci_base", GET, "/v2/?", needs=Need.ENTRY),
        Route("oci_token", GET, "/v2/token/?", needs=Need.ENTRY),
        _route("oci_tags", template="/v2/{place}{id}/tags/list", needs=Need.SEE),
        _route("oci_referrers", template=f"/v2/{{place}}{{id}}/referrers/{_DIGEST}", needs=Need.SEE),
        _route("oci_pinned", template=f"/v2/{{place}}{{id}}/manifests/{_DIGEST}", needs=Need.READ),
        _route("oci_manifest", template="/v2/{place}{id}/manifests/{rev}", needs=Need.READ),
        _route("oci_blob", template=f"/v2/{{place}}{{id}}/blobs/{_DIGEST}", needs=Need.READ),
    ),
    lambda served: OciRegistry(served).answers,
    ("oci.js",),
    locations="oci.conf.j2",
    constants={
        "GIVEN": GIVEN,
        "IMAGE": IMAGE,
        "LAYERS": LAYERS,
        "SUFFIX": SUFFIX,
        "MANIFEST": MANIFEST,
        "MORE": MORE,
        "MOST_FILES": MOST_FILES,
        "MOST_READ": MOST_READ,
        "A_COMMIT": A_COMMIT,
        "OCI_MANIFEST": OCI_MANIFEST,
        "OCI_INDEX": OCI_INDEX,
        "DOCKER_MANIFEST": DOCKER_MANIFEST,
        "LATEST": LATEST,
        "LAYER": LAYER,
        "TAG": TAG,
        "FEW": _FEW,
        "NOBODY": NOBODY,
        "VERSION": _VERSION,
        "WORDS": {
            "documents": NO_DOCUMENTS,
            "large": TOO_LARGE,
            "quant": NO_QUANT,
            "image": NO_IMAGE,
            "ollama": NO_OLLAMA,
            "count": BAD_COUNT,
            "commits": MANY_COMMITS,
        },
    },
    lacks=(NotOffered(UNDER, _NOT_HERE, answers.REGISTRY_FORM),),
    addresses=UNDER,
    form=answers.REGISTRY_FORM,
    challenge=token_wanted,
    door=DOOR,
)

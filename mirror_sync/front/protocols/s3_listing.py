"""ListObjectsV2, and its older form, over the listings of snapshots: what a page has, and where the next one begins.

Keys are `org/name/revision/path`. They come in the order of the lists of the catalogue (ids in lower case), then of
percent-encoded names and paths, as shards have them; a page reads a bounded number of documents, and is shorter where
these end before it is full. Revisions are those with a name of one part: a commit, and refs/pr/1, are there for who
names them. Source: Amazon S3 API reference, ListObjectsV2 and ListObjects.
"""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any
from urllib.parse import parse_qs, quote

from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.snapshot import Shard, encode_json, sort_key
from mirror_sync.front.hub import listing
from mirror_sync.front.hub.answers import GONE, Refusal, in_xml
from mirror_sync.front.hub.served import Opened

XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MOST_KEYS = 1000  # of one page, as S3's own
MOST_READS = 24  # shards, refs and pieces of lists that are read for one page
REPOS = 200  # of a list that are looked through at once
BAD_KEYS = "max-keys is a number from 0 to 2147483647"
BAD_TOKEN = "This continuation token is none of this mirror"  # noqa: S105  of no secret
BAD_DELIMITER = "Listings are cut at / alone: the delimiter is / or none"
BAD_ENCODING = "encoding-type is url, or left out"
OWNER = "<Owner><ID>mirror</ID><DisplayName>mirror</DisplayName></Owner>"
NO_DATE = "1970-01-01T00:00:00.000Z"
PAST = "\x7f"  # follows every letter of a sort_key
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_LARGEST = 2147483647
_LAST = "~" * 8  # of what a name may begin with, what comes last
_PATH = re.compile(rb'"path":("[^"\\]*(?:\\.[^"\\]*)*"),')


@dataclass(frozen=True, slots=True)
class KeyPosition:
    """Where a page goes on: behind a key; where it is `past`, behind all that begin so. `root`: of the snapshot in
    which that is, the beginning of its digest, so that a listing never mixes two.
    """

    key: str = ""
    past: bool = False
    root: str = ""

    def token(self) -> str:
        """As a continuation token."""
        return base64.urlsafe_b64encode(encode_json([self.key, int(self.past), self.root]).encode()).decode()

    def marker(self, *, cut: bool) -> str:
        """As the older form has it, which knows keys alone: behind all that begin so where that is meant."""
        return f"{self.key}{_LAST}" if self.past and not cut else self.key

    @classmethod
    def of_token(cls, text: str) -> KeyPosition:
        """Refusal 400 for what is none."""
        try:
            known = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
            key, past, root = list[Any](known) if isinstance(known, list) else list[Any]()
            key.encode()
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise Refusal(400, BAD_TOKEN) from None
        if not isinstance(key, str) or past not in (0, 1) or not isinstance(root, str):
            raise Refusal(400, BAD_TOKEN)
        return cls(key, bool(past), root)

    def below(self, base: str) -> KeyPosition | None:
        """The same within `base`, which ends with a slash: from its beginning; None where all of it is behind this."""
        if self.key.startswith(base):
            return None if self.past and self.key == base else KeyPosition(self.key[len(base) :], self.past, self.root)
        return KeyPosition() if sort_key(base) > self.seek else None

    @property
    def seek(self) -> str:
        """The least sort_key that is not before it."""
        return sort_key(self.key) + (PAST if self.past else "")


@dataclass(frozen=True, slots=True)
class KeyQuery:
    """What is asked for of a bucket. `newer`: by ListObjectsV2; `said` are its own words, to be repeated."""

    prefix: str
    cut: bool
    most: int
    after: KeyPosition
    newer: bool
    encoded: bool
    said: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, query: str) -> KeyQuery:
        """Refusal 400 for what is none, 501 for another delimiter."""
        asked = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        newer, most, delimiter = asked.get("list-type") == "2", asked.get("max-keys") or "1000", asked.get("delimiter")
        if _NUMBER.fullmatch(most) is None or int(most) > _LARGEST:
            raise Refusal(400, BAD_KEYS)
        if delimiter not in (None, "", "/"):
            raise Refusal(501, BAD_DELIMITER)
        if asked.get("encoding-type", "url") not in ("", "url"):
            raise Refusal(400, BAD_ENCODING)
        names = ("start-after", "continuation-token", "fetch-owner") if newer else ("marker",)
        start = asked.get("start-after" if newer else "marker", "")
        after = KeyPosition(start, past=bool(delimiter) and start.endswith("/"))
        if newer and "continuation-token" in asked:
            after = KeyPosition.of_token(asked["continuation-token"])
        said = {name: asked[name] for name in names if name in asked}
        encoded = asked.get("encoding-type") == "url"
        return cls(asked.get("prefix", ""), delimiter == "/", min(int(most), MOST_KEYS), after, newer, encoded, said)


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A file, or all that begins so where a listing is cut there: then it has no `entry`."""

    key: str
    entry: Mapping[str, Any] | None = None
    modified: str = ""


class KeyPage:
    """One page as it grows: whoever adds goes on while it is told to."""

    def __init__(self, query: KeyQuery) -> None:
        self.query, self.items = query, list[ListedKey]()
        self.more, self.root = False, ""
        self._at, self._reads = query.after, 0

    def add(self, item: ListedKey) -> bool:
        """Whether there was room for it."""
        if len(self.items) >= self.query.most:
            self.more = self.query.most > 0
            return False
        self.items.append(item)
        self._at = KeyPosition(item.key, item.entry is None, self.root)
        return True

    def passed(self, base: str) -> None:
        """All that begins with `base` was seen."""
        if not self.items:
            self._at = KeyPosition(base, past=True)

    def may_read(self) -> bool:
        """Whether one more document may be read for it."""
        if self._reads >= MOST_READS:
            self.more = True
            return False
        self._reads += 1
        return True

    @property
    def next(self) -> KeyPosition | None:
        """Where the next one begins, None behind the last."""
        return self._at if self.more else None


class KeyWalk:
    """Goes through what is served, in order, and adds to a page. Raises what `read` and the others raise.

    `repos` gives ids of a list from one on, in lower case, and where the others begin; `refs` what is published of a
    repo that may be seen, None of any other; `opened` a published commit of it. Each returns False when the page is
    full, or has read enough.
    """

    def __init__(
        self,
        page: KeyPage,
        repos: Callable[[str, int], tuple[list[str], str | None]],
        refs: Callable[[str], Refs | None],
        opened: Callable[[Refs, str], Opened],
        shard: Callable[[Opened, int], bytes],
    ) -> None:
        self._page, self._query = page, page.query
        self._repos, self._refs, self._opened, self._shard = repos, refs, opened, shard

    def repos(self) -> bool:
        """What is in a bucket, by a prefix that names no whole repo."""
        prefix, after = self._query.prefix, self._query.after
        behind = PAST if after.past and after.key == _id_of(after.key) else ""
        following: str | None = max(prefix.lower(), _id_of(after.key).lower() + behind)
        seen = set[str]()
        while following is not None:
            if not self._page.may_read():
                return False
            ids, following = self._repos(following, REPOS)
            for one in ids:
                if not one.lower().startswith(prefix.lower()) and one.lower() > prefix.lower():
                    return True
                if one.startswith(prefix) and "/" in one and not self._repo(one, seen):
                    return False
        return True

    def _repo(self, one: str, seen: set[str]) -> bool:
        base, after = f"{one}/", self._query.after
        inside = after.key.startswith(base) and not (after.past and after.key == base)
        if not inside and self._is_behind(one.lower()):
            return True
        if self._query.cut:
            end = base.index("/", len(self._query.prefix)) + 1
            if base[:end] in seen:
                return True
            seen.add(base[:end])
            return self._page.add(ListedKey(base[:end]))
        if not self._page.may_read():
            return False
        refs = self._refs(one)
        within = after.below(base) if inside else KeyPosition()
        if refs is not None and within is not None and not self.revisions(refs, base, "", within):
            return False
        self._page.passed(base)
        return True

    def _is_behind(self, low: str) -> bool:
        """Whether a repo, by its id in lower case, comes before where the page begins, in the order of the lists."""
        after = self._query.after
        known = _id_of(after.key).lower()
        if after.key.lower().startswith(f"{known}/"):
            return low <= known
        return low < known + (PAST if after.past else "")

    def revisions(self, refs: Refs, base: str, begins: str, after: KeyPosition) -> bool:
        """What is in a repo: names of commits that begin so."""
        for name in names_of(refs, begins):
            within = after.below(f"{name}/")
            if within is None:
                continue
            if self._query.cut:
                if not self._page.add(ListedKey(f"{base}{name}/")):
                    return False
            elif not self.files(self._opened(refs, name), f"{base}{name}/", "", within):
                return False
        return True

    def files(self, opened: Opened, base: str, prefix: str, after: KeyPosition) -> bool:
        """What is in a snapshot, by a prefix of its paths. Refusal 400 where the page before was of another one."""
        self._page.root = opened.digest[:16]
        if after.root and after.root != self._page.root:
            raise Refusal(400, GONE)
        shards, end, skip = opened.root.shards, sort_key(prefix) + PAST, ""
        number = _shard_at(shards, max(sort_key(prefix), after.seek))
        while number < len(shards) and shards[number].first < end:
            if not self._page.may_read():
                return False
            for path, line in _files_of(self._shard(opened, number)):
                key = sort_key(path)
                if key < skip or key <= after.seek or not path.startswith(prefix):
                    continue
                folder, slash, _ = path[len(prefix) :].partition("/")
                if self._query.cut and slash:
                    whole = f"{prefix}{folder}/"
                    skip, item = sort_key(whole) + PAST, ListedKey(base + whole)
                else:
                    item = ListedKey(base + path, json.loads(line), str(opened.root.last.get("date", "")))
                if not self._page.add(item):
                    return False
            number = max(number + 1, _shard_at(shards, skip))
        self._page.root = ""
        return True


def names_of(refs: Refs, begins: str) -> list[str]:
    """The names of one part that lead to a commit, of those that begin so, in the order of listings."""
    every = {ref.shortest for ref in refs.refs} | set(refs.channels)
    fit = (one for one in every if one.startswith(begins) and "/" not in one and refs.leads_to(one) is not None)
    return sorted(fit, key=lambda one: sort_key(f"{one}/"))


def _id_of(key: str) -> str:
    return "/".join(key.split("/", 2)[:2])


def _shard_at(shards: Sequence[Shard], key: str) -> int:
    return max(bisect_right(shards, key, key=attrgetter("first")) - 1, 0)


def _files_of(shard: bytes) -> Iterator[tuple[str, bytes]]:
    """The paths of the files of a shard, and their entries, which most listings do not read."""
    for line in listing.lines(shard):
        found = _PATH.search(line) if line.startswith(b'{"type":"file"') else None
        if found is not None:
            yield json.loads(found[1]), line


def as_xml(bucket: str, page: KeyPage) -> str:
    """The answer to a listing."""
    query, following = page.query, page.next

    def named(text: str) -> str:
        return quote(text, safe="/") if query.encoded else in_xml(text)

    told = {"Name": bucket, "Prefix": named(query.prefix), "MaxKeys": str(query.most)}
    told |= {"Delimiter": "/"} if query.cut else {}
    told |= {"EncodingType": "url"} if query.encoded else {}
    if query.newer:
        token = query.said.get("continuation-token")
        told |= {"KeyCount": str(len(page.items))}
        told |= {"ContinuationToken": in_xml(token)} if token is not None else {}
        told |= {"StartAfter": named(query.said["start-after"])} if "start-after" in query.said else {}
        told |= {"NextContinuationToken": following.token()} if following is not None else {}
    else:
        told |= {"Marker": named(query.said.get("marker", ""))}
        told |= {"NextMarker": named(following.marker(cut=query.cut))} if following is not None else {}
    told |= {"IsTruncated": "true" if following is not None else "false"}
    head = "".join(f"<{name}>{text}</{name}>" for name, text in told.items())
    owner = OWNER if query.said.get("fetch-owner") == "true" or not query.newer else ""
    keys = "".join(_contents(one, one.entry, named(one.key), owner) for one in page.items if one.entry is not None)
    cut = (f"<CommonPrefixes><Prefix>{named(one.key)}</Prefix></CommonPrefixes>" for one in page.items if not one.entry)
    return f'{XML_HEAD}<ListBucketResult xmlns="{NAMESPACE}">{head}{keys}{"".join(cut)}</ListBucketResult>'


def _contents(one: ListedKey, entry: Mapping[str, Any], key: str, owner: str) -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>{in_xml(one.modified or NO_DATE)}</LastModified>"
        f"<ETag>&quot;{etag_of(entry['sha256'])}&quot;</ETag><Size>{int(entry['size'])}</Size>{owner}"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


def etag_of(sha256: str) -> str:
    """The ETag of a file, unquoted. Its end says, as that of a multipart upload does, that it is no MD5."""
    return f"{sha256}-1"

"""Values that pages are made of: a mirror of as many repos as one likes, always the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from hashlib import sha1, sha256
from itertools import pairwise

from mirror_sync.catalogue import pages
from mirror_sync.catalogue.changes_feed import atom
from mirror_sync.domain.catalogue.feed import Feed
from mirror_sync.domain.catalogue.page_data import ATOM, CHANGES, FEED, MIRRORZ, TUNASYNC
from mirror_sync.domain.catalogue.published_lists import encode_page, page_name
from mirror_sync.domain.catalogue.relations import encode_relations
from mirror_sync.domain.catalogue.rows import (
    Day,
    JobEntryView,
    Lack,
    LackGroup,
    Lag,
    ListPage,
    Overview,
    RepoPage,
    RepoRow,
    ShownFile,
    ShownJob,
    ShownSnapshot,
    ShownText,
    ShownVerdict,
    cut_list,
    page_key,
)
from mirror_sync.domain.formats.tensor_headers import Tensor
from mirror_sync.domain.formats.weights import Weights
from mirror_sync.domain.outcome.front_counts import FrontCounts, FrontDay
from mirror_sync.domain.repo import Kind, Repo

_OWNERS = ("acme", "BAAI", "deepset", "mistralai", "Qwen", "sentence-transformers", "stabilityai", "tiiuae")
_LICENSES = (("apache-2.0",), ("mit",), ("apache-2.0", "mit"), ("other:qwen-research",), ())
_TASKS = ("text-generation", "feature-extraction", "image-classification", "automatic-speech-recognition", "")
_STATES = ("published", "unchanged", "unchanged", "unchanged", "held", "failed", "gone", "refused", "gated", "never")

_CODES = {"held": "license", "refused": "license", "gated": "gated", "failed": "unreachable"}
_CARD = """
# An encoder

<div align="center"><img src="https://example.org/badge.png" alt="badge"></div>

It makes *vectors* of sentences, see [the paper](https://example.org/paper) and [its settings](config.json).
![how it is built](./figure.png)

### Results

| data | accuracy |
| :-- | --: |
| dev | 0.91 |
| test | 0.89 |

```python
model.encode(["one", "two"])
```

> 中文：将句子编码为向量。
"""
_LICENCE = "Apache License\nVersion 2.0, January 2004\n\nTERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION\n"
_TITLE = "Upload folder using huggingface_hub, and the tokenizer that was missing"


def row(number: int) -> RepoRow:
    """The repo of a number: its name, size and state are properties of it."""
    owner = _OWNERS[number % len(_OWNERS)]
    kind = Kind.DATASET if number % 5 == 4 else Kind.MODEL
    state = _STATES[number % len(_STATES)]
    here = state not in ("never", "refused", "gated")
    return RepoRow(
        kind,
        f"{owner}/{'corpus' if kind is Kind.DATASET else 'encoder'}-{number:05d}-base",
        state,
        _LICENSES[number % len(_LICENSES)],
        _TASKS[number * 7 % len(_TASKS)],
        "transformers",
        number % 40 + 1 if here else 0,
        number * number * 9_973 % 400_000_000_000 if here else 0,
        commit(number) if here else None,
        moment(number) if here else None,
        code=_CODES.get(state, ""),
        parameters=number * 1_234_567_890 % 70_000_000_000 if here and kind is Kind.MODEL else 0,
        downloads=number * 37 % 900 if here else 0,
        bases=(f"{_OWNERS[0]}/encoder-00000-base",) if number % 8 == 1 and kind is Kind.MODEL else (),
        relation="quantized" if number % 8 == 1 and kind is Kind.MODEL else "",
    )


def commit(number: int) -> str:
    return sha1(str(number).encode(), usedforsecurity=False).hexdigest()


def moment(number: int) -> str:
    return f"{date(2026, 11, 20) - timedelta(days=number % 700)}T{number % 24:02d}:15:00Z"


def digest(words: str) -> str:
    return sha256(words.encode()).hexdigest()


def repo_page(one: RepoRow, files: int = 12) -> RepoPage:
    snapshots = (
        ShownSnapshot(commit(1), digest("one"), ("main",), "Fix the tokenizer", moment(3), moment(2), files, one.bytes),
        ShownSnapshot(
            commit(2),
            digest("two"),
            ("v1.0", "v1.0.0", "stable-2026"),
            _TITLE,
            moment(90),
            moment(80),
            9,
            one.bytes // 2,
        ),
    )
    names = [
        "LICENSE",
        "README.md",
        "config.json",
        "onnx/int8/model.onnx",
        "onnx/config.json",
        *(f"model-{part:05d}-of-{files - 2:05d}.safetensors" for part in range(files)),
    ]
    return RepoPage(
        one,
        "licence apache-2.0 is allowed by licenses.allow",
        "not-found-or-private" if one.state == "gone" else "",
        f"https://huggingface.co/{one.repo}",
        (
            JobEntryView("nightly", "main", one.state, "nothing new upstream", one.code),
            JobEntryView(
                "weekly", "v1.0", "held", "it removes 7 of 9 published files; guard.max_removed is 50%", "guard"
            ),
        ),
        snapshots,
        commit(1),
        tuple(ShownFile(name, 1 + place * 1_234_567, digest(name)) for place, name in enumerate(names[:files])),
        (digest("shard"),),
        running=(("pickle", 1),) if one.repo.startswith("acme/") else (),
        verdicts=(
            ShownVerdict("licence", "allowed", "licence apache-2.0 is in licenses.allow"),
            ShownVerdict("restricted", "allowed", "approved by Jane Doe, legal: terms read (policy.restricted has it)"),
        ),
        signed=True,
        scanned=True,
        card=ShownText("README.md", _CARD, whole=False),
        licence=ShownText("LICENSE", _LICENCE),
        weights=(WEIGHTS,) if one.kind is Kind.MODEL else (),
        since="2026-11-02T08:00:00Z" if one.state == "gone" else "",
    )


WEIGHTS = Weights(
    "model.safetensors",
    2,
    2,
    291,
    7_615_616_512,
    (("BF16", 7_615_000_000), ("F32", 616_512)),
    tuple(Tensor(f"model.layers.{at}.self_attn.q_proj.weight", "BF16", (4096, 4096)) for at in range(12)),
)


def lack(one: RepoRow) -> Lack:
    reasons = {
        "held": "licence other is not named (license_name); approve the repo by name",
        "refused": "licence gpl-3.0 is not in licenses.allow",
        "gated": "the upstream has admitted no account of this mirror",
        "failed": "the upstream did not answer at the last attempt",
    }
    return Lack(one.kind, one.repo, "main", "nightly", one.state, reasons.get(one.state, ""), one.code)


def lacking(rows: Iterable[RepoRow]) -> tuple[LackGroup, ...]:
    groups: dict[tuple[str, str], list[Lack]] = {}
    for one in map(lack, rows):
        groups.setdefault((one.state, one.code), []).append(one)
    return tuple(LackGroup(*key, len(found), tuple(found[:25])) for key, found in groups.items())


def front_day() -> FrontDay:
    counts = FrontCounts()
    for number in range(4000):
        counts.add(502 if number % 1000 == 0 else 200, 1_000_000, 0.03 if number % 10 else 0.3)
        counts.add_cached("blobs", "miss" if number % 25 == 0 else "hit")
    return FrontDay(82_800.0, counts)


def overview(rows: tuple[RepoRow, ...], days: int = 60) -> Overview:
    jobs = (
        ShownJob(
            "nightly",
            "0 2 * * *",
            320,
            318,
            moment(0),
            "2026-11-20T00:41:12Z",
            "failed",
            "2026-11-21T02:00:00Z",
            succeeded=moment(3),
            checked=moment(1),
        ),
        ShownJob("weekly-datasets", "every 7d", 41, 41, moment(5), moment(5), "complete", None, paused=True),
        ShownJob("by-hand", "", 3, 0, None, None, "", None),
    )
    first = date(2026, 11, 20) - timedelta(days=days)
    every = [str(first + timedelta(days=number)) for number in range(days)]
    growth = [Day(day, 40 * 10**12 + number * number * 10**9, 200 + 2 * number) for number, day in enumerate(every)]
    traffic = [
        Day(day, number * 7919 % 97 * 10**10, 0, number * 31 % 900, number % 40) for number, day in enumerate(every)
    ]
    return Overview(
        "Example Institute models",
        "",
        "0.1.0",
        moment(0),
        len(rows),
        complete=False,
        gaps=7,
        files=sum(one.files for one in rows),
        bytes=sum(one.bytes for one in rows),
        jobs=jobs,
        recent=tuple(sorted((one for one in rows if one.published), key=lambda one: one.published or "")[:-9:-1]),
        lag=Lag(50, 4_210.0, 90_061.0),
        growth=tuple(growth),
        traffic=tuple(traffic),
        front=front_day(),
        lacking=lacking(one for one in rows if one.state not in ("published", "unchanged")),
        verified=moment(1),
    )


EMPTY = Overview("", "", "0.1.0", moment(0), 0, complete=True, gaps=0, files=0, bytes=0, jobs=())


def listed(count: int) -> list[ListPage]:
    return list(cut_list(tuple(row(number) for number in range(count))))


def site(count: int, described: int = 3) -> Mapping[str, bytes]:
    """A whole catalogue by key, below `site/`; only some repos have a page of their own."""
    cut = listed(count)
    rows = tuple(one for page in cut for one in page.rows)
    made = {f"site/assets/{name}": content for name, content in pages.assets().items()}
    whole = overview(rows)
    made["site/relations.json"] = encode_relations(rows)
    odd = b'{"format":1,"days":["</script><b>\\u0000"]}'  # as much of each as a page has to keep to itself
    home = {FEED: Feed().encode(), CHANGES: odd, ATOM: atom([], name="<Acme>", url="", mirror="")}
    made |= {
        "site/index.html": pages.home(whole, cut, found=home),
        "site/mirror.html": pages.mirror_page(whole, {TUNASYNC: b"[]", MIRRORZ: b"{}"}),
    }
    beside = [None, *cut, None]
    for (before, page), (_, after) in pairwise(pairwise(beside)):
        if page is not None:
            told = {page_name(page.name): encode_page(page.rows)}
            made[f"site/list/{page.name}.html"] = pages.list_page(page, before, after, whole.name, told)
    child = [one for one in rows if one.bases][:1]
    for one in (*rows[:described], *child):
        made[page_key(Repo(one.kind, one.repo))] = pages.repo_page(
            repo_page(one), brand=whole.name, principal="Example-Institute-models"
        )
    return made


EMPTY_PAGES = {
    "site/empty/index.html": pages.home(EMPTY, []),
    "site/empty/mirror.html": pages.mirror_page(EMPTY),
    **{f"site/empty/assets/{name}": content for name, content in pages.assets().items()},
}

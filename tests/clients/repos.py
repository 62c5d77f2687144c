"""The repos of the client suite: put into a Hub stand-in, and told as truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.clients.truth import FileTruth, RepoTruth, Truth
from tests.real_model import model_folder
from tests.standin import LFS, Generated

if TYPE_CHECKING:
    from tests.standin import Hub, Repo
    from tests.standin.tree import FileLike

MODEL, MANY, DATASET = "acme/tiny-bert", "acme/many-files", "acme/small-tables"
TAG = "v1.0"
XET = "5e" * 32
"""A Xet hash of upstream: a mirror that published it would send clients to a store they cannot reach."""
BIG = 24 << 20
"""Bytes of the file that is cut half-way: more than twice what clients read at a time."""
TOKENIZER = ("config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
PARQUET = Path(__file__).parent / "files" / "train.parquet"
ROWS: tuple[dict[str, Any], ...] = tuple(
    {"number": number, "text": text} for number, text in enumerate(["one", "zwei", "三", "naïve, café", 'a "quote"'])
)
ODD_NAMES = (
    "with space.txt",
    "ünïcödé-文件.txt",
    "hash#tag.txt",
    "question?.txt",
    "percent%20.txt",
    "100%.txt",
    "plus+plus.txt",
    "single'quote.txt",
    'double"quote.txt',
    "and&equals=semicolon;comma,colon:.txt",
    "tilde~dollar$bang!star.txt",
    "brackets [1] {2} (3).txt",
    "..dots..txt",
    "-dash.txt",
)


def fill(hub: Hub, big: FileLike | None = None) -> Truth:
    """Makes the three repos, and returns what clients of a mirror of them must find.

    Mirror `main` of all, and the tag `TAG` of the model, with no file left out. `big` replaces the big file, which
    is LFS: the Hub redirects it to another origin, so that the suite's cut cannot be seen on the stand-in itself.
    """
    model, many, dataset = hub.model(MODEL), hub.model(MANY), hub.dataset(DATASET)
    older = model.commit({**_tokenizer(), "README.md": _card("apache-2.0"), "notes.txt": "first"}, title="First")
    model.tag(TAG, older)
    model.commit(
        {**_odd_files(), "notes.txt": "second", "model.bin": big or LFS(Generated(BIG, seed=7), XET)}, title="Second"
    )
    many.commit({"README.md": _card("mit"), **_many_files()}, title="Many")
    dataset.commit(_tables(), title="Tables")
    return Truth(
        model=repo_truth(model, "main", "apache-2.0", tags=[TAG]),
        tagged=repo_truth(model, TAG, "apache-2.0", tags=[TAG]),
        dataset=repo_truth(dataset, "main", "mit"),
        many=repo_truth(many, "main", "mit"),
        rows=ROWS,
    )


def repo_truth(repo: Repo, revision: str, licence: str, tags: list[str] | None = None) -> RepoTruth:
    """What the stand-in knows of a repo at a revision, where main and these tags are mirrored."""
    commit = repo.find(revision)
    assert commit is not None, f"{repo.id} has no {revision}"
    files = {
        path: FileTruth(file.size, file.content.sha256, file.etag) for path, file in sorted(commit.tree.files.items())
    }
    refs = {name: _commit_id(repo, name) for name in tags or []}
    return RepoTruth(repo.id, repo.kind, revision, commit.id, licence, files, {"main": repo.head()}, refs)


def _commit_id(repo: Repo, revision: str) -> str:
    commit = repo.find(revision)
    assert commit is not None
    return commit.id


def _tokenizer() -> dict[str, FileLike]:
    return {name: (model_folder() / name).read_bytes() for name in TOKENIZER}


def _odd_files() -> dict[str, FileLike]:
    odd = {f"odd names/{name}": f"I am {name}\n" for name in ODD_NAMES}
    return {
        **odd,
        "empty.txt": b"",
        "a/b/c/deep.json": "{}",
        "a/b.txt": "beside the folder b",
        "lfs/small.bin": LFS(b"x"),
    }


def _many_files() -> dict[str, FileLike]:
    return {f"part-{number // 25:02}/{number:04}.txt": f"file {number}\n" for number in range(1500)}


def _card(licence: str, more: str = "") -> str:
    return f"---\nlicense: {licence}\n{more}---\n# A repo of the tests\n"


def _tables() -> Mapping[str, FileLike]:
    configs = "".join(f"- config_name: {name}\n  data_files: parquet/*.parquet\n" for name in ("all", "again"))
    quoted = [[str(row["number"]), '"' + str(row["text"]).replace('"', '""') + '"'] for row in ROWS]
    return {
        "README.md": _card("mit", f"configs:\n{configs}"),
        "csv/train.csv": "".join(",".join(line) + "\n" for line in [["number", "text"], *quoted]),
        "jsonl/train.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS),
        "parquet/train.parquet": LFS(PARQUET),
    }

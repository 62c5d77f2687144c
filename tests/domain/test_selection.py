import pytest
from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]  # exported, but not by `__all__`
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.content.selection import LeftOut, Selection, Sieve, always_travels
from mirror_sync.domain.job.job import Job, rival
from mirror_sync.domain.repo import Repo, RepoPattern
from tests.domain.files import desired_of, remote, trees

_paths = st.text("ab/.*?[]!-", min_size=1, max_size=8)
_patterns = st.lists(st.text("ab/.*?[]!-", min_size=1, max_size=6), max_size=3).map(tuple)


@given(st.lists(_paths), _patterns.filter(bool), _patterns)
def test_patterns_select_as_huggingface_hub_does(
    paths: list[str], include: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    expected = list(filter_repo_objects(paths, allow_patterns=list(include), ignore_patterns=list(exclude)))
    assert [path for path in paths if Selection(include, exclude).wants(path)] == expected


@pytest.mark.parametrize(
    "path", ["LICENSE", "LICENSE.md", "sub/LICENSE-CODE", "licence.txt", "NOTICE", "USE_POLICY.md", "README.md"]
)
def test_licence_texts_and_the_card_travel_whatever_the_patterns_say(path: str) -> None:
    assert always_travels(path)
    assert Selection(("*.bin",), ("*",)).wants(path)


@pytest.mark.parametrize("path", ["sub/README.md", "MY_LICENSE", "licensing/x.py", "readme.txt"])
def test_nothing_else_travels_by_itself(path: str) -> None:
    assert not Selection(("*.bin",)).wants(path)


@given(trees, _patterns.filter(bool), _patterns)
def test_what_is_left_out_and_what_is_wanted_are_all_there_is_each_file_by_one_rule(
    tree: dict[str, tuple[bytes, bool]], include: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    sieve, everything = Sieve(Selection(include, exclude)), desired_of(tree)
    wanted, left = [file for file in everything if sieve.wants(file)], sieve.left_out
    assert (sieve.files, sieve.lets_all_through) == (len(everything), len(wanted) == len(everything))
    assert sum(one.files for one in left) == len(everything) - len(wanted)
    assert sum(one.bytes for one in left) == sum(file.size for file in everything) - sum(file.size for file in wanted)
    assert all(one.patterns == include if one.rule == "include" else one.patterns[0] in exclude for one in left)
    assert len({(one.rule, one.patterns) for one in left}) == len(left)


def test_the_first_pattern_that_matches_is_the_one_that_leaves_out() -> None:
    files = [remote(path, b"12") for path in ("a.bin", "sub/b.bin", "c.txt", "README.md", "sub/d.json")]
    sieve = Sieve(Selection(("*.json", "*.bin"), ("sub/*", "*.bin", "*.h5")))
    assert [file.path for file in files if sieve.wants(file)] == ["README.md"]
    assert sieve.left_out == (
        LeftOut("exclude", ("sub/*",), 2, 4),
        LeftOut("exclude", ("*.bin",), 1, 2),
        LeftOut("include", ("*.json", "*.bin"), 1, 2),
    )
    assert all(map(Sieve(Selection()).wants, files))


def _job(name: str, repos: str, *, revisions: tuple[str, ...] = ("main",), exclude: tuple[str, ...] = ()) -> Job:
    return Job(name, (RepoPattern.parse(repos),), "hub", "bucket", revisions, Selection(exclude=exclude))


def test_a_rival_wants_other_files_of_the_same_commit_on_the_same_target() -> None:
    repo = Repo.parse("acme/x")
    mine, other = _job("a", "acme/x"), _job("b", "acme/*", revisions=("ma*",), exclude=("*.bin",))
    assert rival(mine, repo, ("main",), (mine, other)) is other
    assert rival(mine, repo, ("v1",), (mine, other)) is None
    assert rival(mine, Repo.parse("acme2/x"), ("main",), (mine, other)) is None
    assert rival(mine, repo, ("main",), (mine, _job("b", "acme/*"))) is None

"""`select`: the first repos of an author, in place of a list of repos."""

from __future__ import annotations

import pytest

from mirror_sync.domain.job.ranking import Demand, Ranking, Sort
from mirror_sync.domain.repo import Kind, Repo, RepoPattern
from tests.config.texts import LICENSES, REST, TARGETS, UPSTREAMS, fault, faults, settings

EVERY = RepoPattern(Kind.MODEL, "*/*")


def one(select: str, more: str = "") -> str:
    return f"{REST}jobs: [{{name: one, select: {select}{more}}}]\n"


def test_all_that_is_said_reaches_the_ranking() -> None:
    text = "{author: Qwen, kind: dataset, sort: likes, limit: 7, licenses: [MIT, mit], tags: [a, b], task: t,"
    text += " without: ['*-GGUF', big]}"
    (job,) = settings(one(text)).jobs
    pattern = RepoPattern(Kind.DATASET, "Qwen/*")
    assert job.repos == (pattern,)
    without = (RepoPattern(Kind.DATASET, "Qwen/*-GGUF"), RepoPattern(Kind.DATASET, "Qwen/big"))
    assert job.ranking == Ranking(pattern, Sort.LIKES, 7, ("mit",), ("a", "b"), "t", without)


def test_only_the_author_must_be_said() -> None:
    (job,) = settings(one("{author: Qwen}")).jobs
    assert job.ranking == Ranking(RepoPattern(Kind.MODEL, "Qwen/*"), Sort.DOWNLOADS, 20)


NOBODY = "jobs[0].select: names nobody; write author: Qwen, or sort: downloads for the whole hub, or from: misses"
LIMIT = "jobs[0].select.limit: must be a whole number from 1 to 1000, like 20"


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("{}", f"4:28: {NOBODY}"),
        ("{limit: 5}", f"4:28: {NOBODY}"),
        ("{from: hits}", "4:35: jobs[0].select.from: 'hits' is not misses or traffic"),
        ("{from: misses, sort: likes}", "4:28: jobs[0].select: sort is what a hub is asked by, and from: misses asks"),
        ("{from: traffic, tags: [a]}", "4:28: jobs[0].select: tags is what a hub is asked by, and from: traffic asks"),
        ("{sort: likes, clients: 2}", "4:28: jobs[0].select: clients is for from: misses or from: traffic"),
        ("{from: misses, clients: 0}", "4:52: jobs[0].select.clients: must be a whole number from 1 to 9999, like 2"),
        ("{author: Qwen, limit: 0}", f"4:50: {LIMIT}"),
        ("{author: Qwen, limit: 100000}", f"4:50: {LIMIT}"),
        ("{author: Qwen, limit: all}", f"4:50: {LIMIT}"),
        (
            "{author: Qwen, sort: stars}",
            "4:49: jobs[0].select.sort: 'stars' is not downloads, likes, trending_score, last_modified or created_at",
        ),
        ("{author: Qwen, sort: download}", "4:49: jobs[0].select.sort: 'download' is not"),
        ("{author: Qwen, kind: space}", "4:49: jobs[0].select.kind: 'space' is not model or dataset"),
        ("{author: 'Qwen/*'}", "4:37: jobs[0].select.author: 'Qwen/*' is no author; write one user or organization"),
        ("{author: ''}", "4:37: jobs[0].select.author: '' is no author"),
        (
            "{author: Qwen, licence: [mit]}",
            "4:43: jobs[0].select.licence: this key is not known; did you mean licenses?",
        ),
        ("{author: Qwen, licenses: [other]}", "4:54: jobs[0].select.licenses[0]: 'other' is no licence that a list"),
        ("{author: Qwen, licenses: ['other:x']}", "4:54: jobs[0].select.licenses[0]: 'other:x' is no licence that a"),
        ("{author: Qwen, licenses: []}", "4:53: jobs[0].select.licenses: is empty; write licenses: [apache-2.0, mit]"),
        ("{author: Qwen, tags: ['a,b']}", "4:50: jobs[0].select.tags[0]: 'a,b' is no tag; write one tag of the Hub"),
        (
            "{author: Qwen, without: [Qwen/x]}",
            "4:28: jobs[0].select: without: 'Qwen/x' is no name of a repo; write it without its author",
        ),
        ("{author: Qwen, without: ['a b']}", "4:53: jobs[0].select.without[0]: 'a b' is no name of a repo"),
        ("Qwen", "4:28: jobs[0].select: must be a mapping, not text"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(select: str, message: str) -> None:
    assert fault(one(select)).startswith(message)


def test_without_an_author_the_whole_hub_is_ranked() -> None:
    (job,) = settings(one("{sort: trending, limit: 50, without: ['*-GGUF', 'acme/*', big/one]}")).jobs
    without = tuple(map(RepoPattern.parse, ("acme/*", "big/one")))
    assert job.ranking == Ranking(EVERY, Sort.TRENDING, 50, without=(RepoPattern(Kind.MODEL, "*/*-GGUF"), *without))
    assert job.repos == (EVERY,)


def test_readers_rank_whatever_the_upstream_is() -> None:
    upstreams = "upstreams: {up: {kind: mirror, url: https://mirror.example.org}}\n"
    text = f"{upstreams}{TARGETS}{LICENSES}jobs: [{{name: one, select: {{from: misses, kind: dataset, clients: 3}}}}]\n"
    (job,) = settings(text).jobs
    every = RepoPattern(Kind.DATASET, "*/*")
    assert job.ranking == Ranking(every, demand=Demand.MISSES, clients=3)
    assert "is a mirror, which ranks nothing" in fault(
        text.replace("from: misses", "sort: likes").replace(", clients: 3", "")
    )


def test_under_other_names_what_is_left_out_is_left_out_by_them() -> None:
    (job,) = settings(one("{author: Qwen, without: ['*-GGUF']}", ', as: "hf-{org}/{name}"')).jobs
    assert not job.names(Repo.parse("hf-Qwen/a-GGUF"))
    assert job.names(Repo.parse("hf-Qwen/a"))
    (job,) = settings(one("{sort: likes, without: [big/one]}", ', as: "hf-{org}/{name}"')).jobs
    assert job.ranking == Ranking(
        RepoPattern(Kind.MODEL, "hf-*/*"), Sort.LIKES, without=(RepoPattern.parse("hf-big/one"),)
    )


def test_a_select_of_all_wants_the_same_files_as_one_of_an_author() -> None:
    (said,) = faults(pair("select: {author: Qwen}", "select: {sort: likes}, exclude: ['*.bin']"))
    assert "jobs 'a' and 'b' select different files of Qwen/* at main on the target 'disk'" in said
    assert settings(pair("repos: [Qwen/x]", "select: {from: traffic}, exclude: ['*.bin']")).warnings == ()


def test_repos_and_select_are_two_ways_to_say_one_thing() -> None:
    said = fault(one("{author: Qwen}", ", repos: [a/b]"))
    assert said.startswith("4:20: jobs[0].select: stands beside repos, where only one can be; remove it or repos")


def test_a_folder_is_not_asked_for_a_ranking() -> None:
    upstreams = "upstreams: {disk: {kind: directory, url: ./import}}\n"
    text = f"{upstreams}{TARGETS}{LICENSES}jobs: [{{name: one, select: {{author: Qwen}}}}]\n"
    said = "jobs[0].select: upstream 'disk' is a folder, which ranks nothing; write repos: [owner/*], or from: misses"
    assert fault(text) == f"4:28: {said}"


def test_no_hub_is_asked_for_a_list_of_kernels() -> None:
    text = f"{REST}jobs: [{{name: one, repos: ['kernel:acme/*', 'kernel:acme/x', 'space:acme/*']}}]\n"
    assert "jobs[0].repos: 'kernel:acme/*': there is no list of kernels to ask for; name each" in fault(text)


def test_modelscope_is_asked_for_no_space_and_no_kernel() -> None:
    upstreams = "upstreams: {ms: {kind: modelscope}}\n"
    for entry in ("space:acme/x", "kernel:acme/x", "space:acme/*"):
        jobs = f"jobs: [{{name: one, repos: [acme/y, 'dataset:acme/z', '{entry}']}}]\n"
        assert (
            f"'{entry}': ModelScope has models and datasets alone" in faults(f"{upstreams}{TARGETS}{LICENSES}{jobs}")[0]
        )


def test_a_licence_that_would_be_refused_anyway_is_odd() -> None:
    (warning,) = settings(one("{author: Qwen, licenses: [mit, gpl-3.0]}")).warnings
    assert "jobs[0].select.licenses[1]: 'gpl-3.0' is not under licenses.allow: its repos take places" in str(warning)
    (warning,) = settings(one("{author: Qwen, licenses: [apache2]}", ", licenses: {allow: [mit]}")).warnings
    assert "did you mean apache-2.0?" in str(warning)


def pair(first: str, second: str) -> str:
    return f"{UPSTREAMS}{TARGETS}{LICENSES}jobs:\n- {{name: a, {first}}}\n- {{name: b, {second}}}\n"


@pytest.mark.parametrize("other", ["repos: [Qwen/x]", "repos: ['Qwen/*']", "select: {author: Other}"])
@pytest.mark.parametrize("files", ["", ", exclude: ['*.bin']"])
def test_what_another_job_names_is_left_to_it_and_so_no_clash(other: str, files: str) -> None:
    assert settings(pair("select: {author: Qwen}", f"{other}{files}")).warnings == ()
    assert settings(pair(f"{other}{files}", "select: {author: Qwen}")).warnings == ()


def test_two_rankings_of_an_author_want_the_same_files() -> None:
    newest = "select: {author: Qwen, sort: created_at}"
    assert settings(pair("select: {author: Qwen}", newest)).warnings == ()
    (said,) = faults(pair("select: {author: Qwen}", f"{newest}, exclude: ['*.bin']"))
    assert "jobs 'a' and 'b' select different files of Qwen/* at main on the target 'disk'" in said

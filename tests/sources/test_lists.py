"""The first repos of an author by what the Hub counts, in as few calls as that takes."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from mirror_sync.domain.content.upstream import Resolved, Shortfall
from mirror_sync.domain.job.ranking import Ranking, Sort
from mirror_sync.domain.repo import Kind, RepoPattern
from mirror_sync.errors import BadAnswer, NotFoundOrPrivate, UpstreamError
from mirror_sync.sources.directory.folders import DirectorySource
from mirror_sync.sources.hub.hub_source import HubSource
from tests.sources.reading import fill_directory
from tests.standin import Hub, faults
from tests.standin.answer import Answer, Request
from tests.standin.settings import EPOCH

MODELS, DATASETS = RepoPattern(Kind.MODEL, "Qwen/*"), RepoPattern(Kind.DATASET, "Qwen/*")


def fill(hub: Hub, many: int) -> None:
    """Models of Qwen from m0 on, the most downloaded and newest last; the first ones are the most liked."""
    for number in range(many):
        licence = "mit" if number % 2 else "apache-2.0"
        repo = hub.model(f"Qwen/m{number}", license=licence, downloads=number, likes=many - number)
        day = EPOCH + timedelta(days=number)
        repo.set(trending=number % 3, created=day, last_modified=day + timedelta(days=9 * (number % 2)))
        repo.commit({"a": str(number)})
    hub.log.clear()


def page_of(link: str = "", **item: object) -> faults.Fault:
    """A page with one item."""
    headers = {"Content-Type": "application/json", **({"Link": link} if link else {})}
    return faults.status(200, headers, json.dumps([item]).encode())


def names(source: HubSource, ranking: Ranking) -> list[str]:
    found = [item for item in source.search(ranking) if not isinstance(item, Shortfall)]
    assert all(isinstance(item, Resolved) for item in found)
    return [item.queried.id.removeprefix("Qwen/") for item in found if isinstance(item, Resolved)]


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        (Sort.DOWNLOADS, ["m29", "m28", "m27"]),
        (Sort.LIKES, ["m0", "m1", "m2"]),
        (Sort.TRENDING, ["m11", "m14", "m17"]),
        (Sort.MODIFIED, ["m29", "m27", "m25"]),
        (Sort.CREATED, ["m29", "m28", "m27"]),
    ],
)
def test_the_first_of_each_order_cost_one_call(hub: Hub, source: HubSource, sort: Sort, first: list[str]) -> None:
    fill(hub, 30)
    assert names(source, Ranking(MODELS, sort, 3)) == first
    (asked,) = hub.log.records("GET /api/models")
    assert "limit=3" in asked.query


def test_what_is_ranked_is_resolved_as_one_repo_alone_is(hub: Hub, source: HubSource) -> None:
    fill(hub, 2)
    ranked = [*source.search(Ranking(MODELS))]
    assert len(ranked) == 2
    for found in ranked:
        assert isinstance(found, Resolved)
        assert found == source.resolve(found.queried, "main")


def test_pages_smaller_than_the_limit_are_read_on_and_no_further(hub: Hub, source: HubSource) -> None:
    fill(hub, 30)
    hub.behaviour.list_page = 4
    assert names(source, Ranking(MODELS, limit=9)) == [f"m{number}" for number in range(29, 20, -1)]
    assert len(hub.log) == 3


def test_a_repo_without_a_commit_takes_no_place(hub: Hub, source: HubSource) -> None:
    fill(hub, 5)
    hub.model("Qwen/empty", downloads=99)
    assert names(source, Ranking(MODELS, limit=3)) == ["m4", "m3", "m2"]


def test_one_licence_is_one_call_and_two_are_two_whose_lists_are_ranked_together(hub: Hub, source: HubSource) -> None:
    fill(hub, 10)
    for number in range(10, 14):
        hub.model(f"Qwen/m{number}", license="llama3.1", downloads=number).commit({"a": "x"})
    hub.log.clear()
    assert names(source, Ranking(MODELS, limit=3, licenses=("apache-2.0",))) == ["m8", "m6", "m4"]
    assert len(hub.log) == 1
    assert names(source, Ranking(MODELS, limit=3, licenses=("apache-2.0", "mit"))) == ["m9", "m8", "m7"]
    assert len(hub.log) == 3


def test_a_repo_of_two_licences_takes_one_place(hub: Hub, source: HubSource) -> None:
    fill(hub, 4)
    hub.model("Qwen/both", license=["mit", "apache-2.0"], downloads=50).commit({"a": "x"})
    assert names(source, Ranking(MODELS, limit=2, licenses=("apache-2.0", "mit"))) == ["both", "m3"]


def test_of_equals_of_several_lists_always_the_same_are_the_first(hub: Hub, source: HubSource) -> None:
    for name, licence in (("c", "mit"), ("a", "mit"), ("b", "apache-2.0")):
        hub.model(f"Qwen/{name}", license=licence, downloads=7).commit({"x": name})
    for licences in (("mit", "apache-2.0"), ("apache-2.0", "mit")):
        assert names(source, Ranking(MODELS, limit=2, licenses=licences)) == ["a", "b"]


def test_tags_and_a_task_must_all_fit(hub: Hub, source: HubSource) -> None:
    card = {"pipeline_tag": "text-generation"}
    hub.model("Qwen/all", downloads=1, tags=["transformers", "safetensors"], card=card).commit({"x": "1"})
    hub.model("Qwen/tagged", downloads=2, tags=["transformers", "safetensors"]).commit({"x": "2"})
    hub.model("Qwen/one-tag", downloads=3, tags=["transformers"], card=card).commit({"x": "3"})
    fitting = Ranking(MODELS, tags=("transformers", "safetensors"), task="text-generation")
    assert names(source, fitting) == ["all"]
    hub.dataset("Qwen/rows", tags=["task_categories:text-generation"]).commit({"x": "4"})
    hub.dataset("Qwen/other").commit({"x": "5"})
    assert names(source, Ranking(DATASETS, task="text-generation")) == ["rows"]


def test_what_is_left_out_by_name_takes_no_place_and_costs_no_call(hub: Hub, source: HubSource) -> None:
    fill(hub, 30)
    without = (RepoPattern.parse("Qwen/m2*"), RepoPattern.parse("Qwen/m17"))
    assert names(source, Ranking(MODELS, limit=4, without=without)) == ["m19", "m18", "m16", "m15"]
    assert len(hub.log) == 1


def paged(hub: Hub, *pages: list[tuple[str, int]]) -> None:
    """A list that says just this: names of Qwen's repos and their downloads, page by page."""

    def page(request: Request, answer: Answer) -> Answer:
        number = int(request.first("page", "0"))
        items = [{"id": f"Qwen/{name}", "sha": "a" * 40, "downloads": count} for name, count in pages[number]]
        link = f'<{hub.url}/api/models?page={number + 1}>; rel="next"' if number + 1 < len(pages) else ""
        headers = {"Content-Type": "application/json", **({"Link": link} if link else {})}
        return faults.status(200, headers, json.dumps(items).encode())(request, answer)

    hub.faults.add(page, "/api/models", times=None)


def test_many_that_are_left_out_by_name_do_not_use_up_the_pages(hub: Hub, source: HubSource) -> None:
    """As an author has a thousand conversions, each more downloaded than its models."""
    for number in range(120):
        hub.model(f"Qwen/m{number}-GGUF", downloads=1000 + number).commit({"a": "x"})
    fill(hub, 3)
    ranking = Ranking(MODELS, limit=2, without=(RepoPattern.parse("Qwen/*-GGUF"),))
    assert names(source, ranking) == ["m2", "m1"]
    (asked,) = hub.log.records("GET /api/models")
    assert "limit=1000" in asked.query


def shortfalls(source: HubSource, ranking: Ranking) -> list[Shortfall]:
    return [item for item in source.search(ranking) if isinstance(item, Shortfall)]


def test_a_ranking_that_is_not_filled_says_how_far_the_list_was_read(hub: Hub, source: HubSource) -> None:
    without = (RepoPattern.parse("Qwen/m1*"),)
    fill(hub, 20)
    hub.behaviour.list_page = 2
    assert shortfalls(source, Ranking(MODELS, limit=3, without=without)) == [Shortfall(10, left=True)]
    hub.behaviour.list_page = 4  # five pages are all there is
    assert shortfalls(source, Ranking(MODELS, limit=11, without=without)) == [Shortfall(20, left=False)]
    assert shortfalls(source, Ranking(MODELS, limit=9, without=without)) == []
    assert shortfalls(source, Ranking(MODELS, limit=30)) == []


def test_a_repo_that_a_drift_put_on_two_pages_takes_one_place(hub: Hub, source: HubSource) -> None:
    paged(hub, [("a", 9), ("b", 8)], [("b", 8), ("c", 7)])
    assert names(source, Ranking(MODELS, limit=3)) == ["a", "b", "c"]


def test_a_figure_may_have_risen_between_two_pages(hub: Hub, source: HubSource) -> None:
    paged(hub, [("a", 9), ("b", 8)], [("c", 10), ("d", 8), ("e", 8)])
    assert names(source, Ranking(MODELS, limit=4)) == ["a", "b", "c", "d"]


def test_a_list_that_is_not_sorted_as_was_asked_is_refused(hub: Hub, source: HubSource) -> None:
    """As by a gateway that does not know `sort`, and gives the first of the alphabet."""
    paged(hub, [("a", 1), ("b", 2), ("c", 99)])
    with pytest.raises(BadAnswer, match="its list is not sorted by downloads: 2 comes after 1"):
        list(source.search(Ranking(MODELS, limit=2)))


def test_a_list_sorted_by_figures_that_are_older_than_those_it_tells_is_believed(hub: Hub, source: HubSource) -> None:
    paged(hub, [("a", 9), ("b", 7), ("c", 8), ("d", 3)])
    assert names(source, Ranking(MODELS, limit=4)) == ["a", "b", "c", "d"]


def test_an_author_without_repos_is_an_empty_answer(hub: Hub, source: HubSource) -> None:
    assert names(source, Ranking(RepoPattern(Kind.MODEL, "nobody/*"))) == []


def test_a_list_of_strangers_is_not_read_for_ever(hub: Hub, source: HubSource) -> None:
    """As from a hub that takes qwen for Qwen, or that knows no authors."""
    numbers = count()

    def endless(request: Request, answer: Answer) -> Answer:
        link = f'<{hub.url}/api/models?page={next(numbers)}>; rel="next"'
        return page_of(id="other/x", sha="a" * 40, downloads=1, link=link)(request, answer)

    hub.faults.add(endless, "/api/models", times=None)
    assert names(source, Ranking(MODELS)) == []
    assert len(hub.log) == 5


def test_a_list_that_does_not_tell_what_it_is_sorted_by_is_refused(hub: Hub, source: HubSource) -> None:
    hub.faults.add(page_of(id="Qwen/x", sha="a" * 40), "/api/models", times=None)
    with pytest.raises(BadAnswer, match="does not tell downloads"):
        list(source.search(Ranking(MODELS)))


def test_an_upstream_without_lists_says_so_in_one_line(hub: Hub, source: HubSource) -> None:
    hub.faults.add(faults.status(404), "/api/models", times=None)
    with pytest.raises(NotFoundOrPrivate, match=r"gives us no list of an owner's repos; name them one by one$"):
        list(source.search(Ranking(MODELS)))


def test_a_folder_ranks_nothing_and_says_so_in_one_line(tmp_path: Path) -> None:
    fill_directory(tmp_path)
    with pytest.raises(UpstreamError, match=r"is a folder, which ranks nothing; name its repos, or write owner/\*$"):
        list(DirectorySource(tmp_path).search(Ranking(RepoPattern(Kind.MODEL, "acme/*"))))

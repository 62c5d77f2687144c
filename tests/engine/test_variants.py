"""A job that looks for variants: quantised repos that others have made of a model, and of them the named quants."""

from __future__ import annotations

import pytest

from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.variants import ALL_MODELS, Variants
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.repo import Repo, RepoPattern
from tests.engine.workshop import Workshop, job
from tests.standin import Hub, faults

BASE = Repo.parse("acme/Big-7B")


def variants(limit: int = 1, authors: tuple[str, ...] = (), **changes: object) -> Job:
    ranking = Variants(ALL_MODELS, limit=limit, bases=(BASE,), quants=("Q4_K_M",), authors=authors)
    return job("*/*", name="small", **{"ranking": ranking, "selection": ranking.selection(), **changes})


def made(hub: Hub, name: str, downloads: int, *files: str, licence: str = "mit", of: str = BASE.id) -> None:
    card = {"license": licence, "base_model": of, "base_model_relation": "quantized"}
    repo = hub.model(name, card=card, downloads=downloads)
    repo.commit({"README.md": "of a base", "config.json": "{}", **{file: f"{name} {file}" for file in files}})


@pytest.fixture
def makers(hub: Hub) -> Hub:
    hub.model(BASE.id, license="mit").commit({"model.safetensors": "whole"})
    made(hub, "bob/Big-7B-GGUF", 9, "Big-7B-Q4_K_M.gguf", "Big-7B-Q8_0.gguf", "q/Big.q4_k_m-00001-of-00002.gguf")
    made(hub, "kim/big_7b-gguf", 8, "big_7b.Q4_K_M.gguf")
    made(hub, "eve/Big-7B-GGUF", 7, "Big-7B-Q2_K.gguf")
    made(hub, "mal/free-money", 99, "free-Q4_K_M.gguf")
    made(hub, "nil/Big-7B-GGUF", 3, "Big-7B-Q4_K_M.gguf", licence="cc-by-nc-4.0")
    made(hub, "far/Other-GGUF", 50, "Other-Q4_K_M.gguf", of="acme/Other")
    hub.log.clear()
    return hub


def test_the_most_downloaded_that_has_a_named_quant_is_mirrored_with_these_files_alone(
    makers: Hub, workshop: Workshop
) -> None:
    report = workshop.sync_one(variants())
    assert (report.repo, report.outcome) == ("bob/Big-7B-GGUF", RepoOutcome.PUBLISHED)
    assert set(workshop.files("bob/Big-7B-GGUF")) == {
        "README.md",
        "Big-7B-Q4_K_M.gguf",
        "q/Big.q4_k_m-00001-of-00002.gguf",
    }
    assert makers.calls("GET", "/api/models") == 1


def test_a_plan_says_what_was_found_and_why_the_rest_is_left_out(makers: Hub, workshop: Workshop) -> None:
    plans = {plan.repo: plan for plan in workshop.plan(variants(limit=2)).repos}
    assert {name for name, plan in plans.items() if plan.outcome is RepoOutcome.PUBLISHED} == {
        "bob/Big-7B-GGUF",
        "kim/big_7b-gguf",
    }
    reasons = {name.partition("/")[0]: plan.reason for name, plan in plans.items()}
    assert reasons["eve"] == "it has none of Q4_K_M: it has Q2_K"
    assert reasons["mal"] == "its name does not say that it is a GGUF of the model that its card names"
    assert reasons["nil"] == "variants.limit is 2, and so many are downloaded more"
    assert "far" not in reasons
    assert workshop.store.written == []


def test_licence_policy_counts_for_a_variant_as_for_any_repo(makers: Hub, workshop: Workshop) -> None:
    report = workshop.sync_one(variants(authors=("nil",)))
    assert (report.repo, report.outcome) == ("nil/Big-7B-GGUF", RepoOutcome.REFUSED)
    (plan,) = [one for one in workshop.plan(variants(authors=("nil",))).repos if one.repo.startswith("bob/")]
    assert plan.reason == "bob is not among variants.authors"


def test_what_was_mirrored_stays_followed_when_another_is_downloaded_more(makers: Hub, workshop: Workshop) -> None:
    workshop.sync(variants())
    makers.model("kim/big_7b-gguf", downloads=100)
    found = {one.repo: one.outcome for one in workshop.sync(variants()).repos}
    assert found == {"kim/big_7b-gguf": RepoOutcome.PUBLISHED, "bob/Big-7B-GGUF": RepoOutcome.UNCHANGED}


def test_other_repos_of_the_target_are_none_of_its_own(makers: Hub, workshop: Workshop) -> None:
    makers.model("acme/other-GGUF", license="mit").commit({"a": "x"})
    others = job("acme/*", name="others")
    workshop.sync(others)
    found = {one.repo for one in workshop.sync(variants(), among=[others]).repos}
    assert found == {"bob/Big-7B-GGUF"}
    assert not variants().names(BASE)


def test_nothing_made_of_a_model_is_no_failure_and_a_list_that_fails_is_one(hub: Hub, workshop: Workshop) -> None:
    report = workshop.sync_one(variants())
    assert report.outcome is RepoOutcome.UNCHANGED
    assert "nobody has made Q4_K_M of acme/Big-7B yet" in report.reason
    hub.faults.add(faults.status(503), "/api/models", times=None)
    assert workshop.sync_one(variants()).outcome is RepoOutcome.FAILED


def test_what_a_job_denies_takes_no_place(makers: Hub, workshop: Workshop) -> None:
    denied = (RepoPattern.parse("bob/*"),)
    ranking = Variants(ALL_MODELS, limit=1, bases=(BASE,), quants=("Q4_K_M",), without=denied)
    report = workshop.sync_one(variants(ranking=ranking, denied=denied))
    assert report.repo == "kim/big_7b-gguf"

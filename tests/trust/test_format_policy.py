"""What a policy of formats makes of a snapshot: on directories and buckets, from jobs.yaml to refs.json."""

from __future__ import annotations

from typing import Any

import pytest

from mirror_sync.catalogue.contents.repo_contents import RecentDocuments, first_files
from mirror_sync.cli.output.reports import plan_text
from mirror_sync.cli.output.tables import TextLayout
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.held_note import held_commits
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.formats.class_list import CLASSES
from mirror_sync.domain.outcome.report import PlanReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_refs
from tests.standin import LFS, Hub
from tests.trust import recipes
from tests.trust.site import Site

STRICT: dict[str, Any] = {
    "refuse": ["executable"],
    "hold": ["pickle", "code", "unknown"],
    "allow": ["data", "text", "container"],
}
SAFE: dict[str, Any] = {"model.safetensors": LFS(recipes.safetensors(3)), "config.json": b"{}", "README.md": b"hello"}
TORCH = recipes.torch_zip()


def test_what_holds_no_code_is_published_and_its_root_says_the_class_of_every_file(hub: Hub, site: Site) -> None:
    hub.model("acme/x", license="mit").commit({**SAFE, "model.gguf": LFS(b"GGUF" + b"\0" * 20)})
    report = site.set({"formats": STRICT}).sync()
    assert report.outcome == "published", report.reason
    assert site.classes() == {
        "README.md": "text",
        "config.json": "text",
        "model.gguf": "container",
        "model.safetensors": "data",
    }
    verdict = site.root().verdicts[-1]
    assert (verdict.rule, verdict.outcome, verdict.reason) == (
        "formats",
        "allowed",
        "files by class: 1 data, 2 text, 1 container",
    )
    assert site.mirror is not None
    assert site.mirror.verify(BY_DAEMON).ok
    assert site.sync().outcome == "unchanged"


@pytest.mark.parametrize(
    ("files", "outcome", "reason"),
    [
        ({"pytorch_model.bin": LFS(TORCH)}, "held", "policy.formats holds pickle: pytorch_model.bin (torch zip)"),
        (
            {"run.sh": b"true\n", "model.pkl": b"N."},
            "refused",
            (
                "policy.formats refuses executable: run.sh (text that is named as code); "
                "policy.formats holds pickle: model.pkl (pickle)"
            ),
        ),
        ({"blob": b"\0\1\2"}, "held", "policy.formats holds unknown: blob (nothing that is known)"),
        (
            {f"{n}.py": b"pass" for n in range(5)},
            "held",
            "policy.formats holds code: 0.py (text that is named as code), 1.py, 2.py and 2 more",
        ),
    ],
)
def test_what_holds_code_is_held_or_refused_and_the_reason_names_the_files(
    hub: Hub, site: Site, files: dict[str, Any], outcome: str, reason: str
) -> None:
    hub.model("acme/x", license="mit").commit({**SAFE, **files})
    report = site.set({"formats": STRICT}).sync()
    assert (report.outcome, report.code, report.reason) == (outcome, "formats", reason)
    refs = read_refs(site.plain, Repo.parse("acme/x"))
    assert (refs.snapshots, len(held_commits(refs))) == ({}, outcome == "held"), "a note of what waits, and no more"


def test_a_class_on_no_list_is_held(hub: Hub, site: Site) -> None:
    hub.model("acme/x", license="mit").commit(SAFE)
    report = site.set({"formats": {"allow": ["data"]}}).sync()
    assert (report.outcome, report.reason.split(":")[0]) == ("held", "policy.formats holds text")


def test_what_was_published_stays_when_a_commit_brings_code(hub: Hub, site: Site) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit(SAFE)
    site.set({"formats": STRICT}).sync()
    repo.commit({"pytorch_model.bin": LFS(TORCH)})
    report = site.sync()
    assert (report.outcome, report.code) == ("held", "formats")
    assert report.reason.endswith("; the snapshot published before stays")
    assert site.root().commit == first


def test_only_what_is_new_beside_the_published_snapshot_is_read(hub: Hub, site: Site) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit(SAFE)
    site.set({"formats": STRICT}).sync()
    repo.commit({"more.txt": b"more"})
    assert site.sync().outcome == "published"
    assert site.was_read(b"more")
    assert not site.was_read(b"hello")
    assert site.classes()["more.txt"] == site.classes()["README.md"] == "text"


def test_a_file_under_another_name_is_looked_at_again(hub: Hub, site: Site) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit(SAFE)
    site.set({"formats": STRICT}).sync()
    repo.commit({"README.pkl": b"hello"})
    assert (site.sync().outcome, site.plan().outcome) == ("held", "held")


def test_what_is_held_is_not_fetched_again_though_a_prune_took_it_nor_looked_at_again(hub: Hub, site: Site) -> None:
    hub.model("acme/x", license="mit").commit({**SAFE, "pytorch_model.bin": LFS(TORCH)})
    first = site.set({"formats": STRICT}).sync()
    assert (first.outcome, first.fetched_files) == ("held", 4)
    site.prune()
    assert site.plain.stat(blob_key(Sha256.of(TORCH))) is None
    again = site.set({"formats": STRICT}).sync()
    assert (again.outcome, again.reason, again.fetched_files) == ("held", first.reason, 0)
    assert site.store.reads == [key for key in site.store.reads if not key.startswith("blobs/")]
    planned = site.plan()
    assert (planned.outcome, planned.reason, planned.fetch_files) == ("held", first.reason, 0)


def test_another_policy_or_another_commit_is_judged_anew_by_what_was_found(hub: Hub, site: Site) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({**SAFE, "pytorch_model.bin": LFS(TORCH)})
    site.set({"formats": STRICT}).sync()
    repo.commit({"more.txt": b"more"})
    assert site.sync().outcome == "held"
    assert site.was_read(b"more")
    assert not site.was_read(TORCH)
    allowing = {**STRICT, "hold": ["code"], "allow": ["data", "text", "pickle"]}
    report = site.set({"formats": allowing}).sync()
    assert (report.outcome, report.fetched_files) == ("published", 0)
    assert not site.was_read(TORCH)
    assert site.classes()["pytorch_model.bin"] == "pickle"


def test_a_job_tightens_what_holds_for_all(hub: Hub, site: Site) -> None:
    hub.model("acme/x", license="mit").commit(SAFE)
    report = site.set({"formats": STRICT}, policy={"formats": {"refuse": ["text"]}}).sync()
    assert (report.outcome, report.code) == ("refused", "formats")
    alone = site.set(None, policy={"formats": {"allow": ["data", "text"]}}).sync()
    assert alone.outcome == "published"


def test_without_a_policy_no_byte_is_read_and_nothing_is_attached(hub: Hub, site: Site) -> None:
    hub.model("acme/x", license="mit").commit({**SAFE, "pytorch_model.bin": LFS(TORCH)})
    assert site.set().sync().outcome == "published"
    assert site.root().attachments == {}
    assert not any(map(site.was_read, (TORCH, b"hello")))


def test_a_base_of_before_the_policy_is_looked_at_whole_and_damaged_classes_are_not_believed(
    hub: Hub, site: Site
) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({**SAFE, "old.pkl": b"N."})
    site.set().sync()
    repo.commit({"more.txt": b"more"})
    report = site.set({"formats": {**STRICT, "hold": ["code"]}}).sync()
    assert (report.outcome, "old.pkl" in report.reason) == ("held", True)
    assert site.set({"formats": {"allow": ["data", "text", "pickle"]}}).sync().outcome == "published"
    classes = site.root().attachments[CLASSES]
    site.plain.put(blob_key(classes), b"{}", Sha256.of(b"{}"))
    repo.commit({"yet.txt": b"yet"})
    assert site.sync().outcome == "published"
    assert site.classes()["old.pkl"] == "pickle"
    assert site.was_read(b"N.")


def test_a_plan_names_what_runs_code_by_names_alone_whatever_the_policy(hub: Hub, site: Site) -> None:
    more = {f"deep/{n:02}.pkl": LFS(b"N.%d" % n) for n in range(12)}
    hub.model("acme/x", license="mit").commit({**SAFE, "model.h5": b"\x89HDF", **more})
    planned = site.set().plan()
    assert (planned.outcome, planned.code_files, len(planned.code_paths)) == ("published", 13, 10)
    assert planned.code_paths[0] == "deep/00.pkl"
    text = plan_text(PlanReport((planned,)), {"a": "it"}, TextLayout(), every=False)
    named = "deep/00.pkl, deep/01.pkl, deep/02.pkl and 10 more."
    assert f"By name, 13 files of acme/x@main run code when they are loaded: {named}" in text


def test_the_catalogue_names_what_runs_code_by_what_was_found_or_else_by_names(hub: Hub, site: Site) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({**SAFE, "weights.bin": LFS(recipes.safetensors(2)), "hidden": LFS(TORCH)})
    site.set().sync()

    def shown() -> dict[str, str]:
        root = site.root()
        listings = tuple(shard.digest for shard in root.shards)
        files, _ = first_files(RecentDocuments(site.plain), listings, root.attachments.get(CLASSES, ""))
        return {file.path: file.runs for file in files if file.runs}

    assert shown() == {"weights.bin": "pickle"}
    repo.commit({"more.txt": b"more"})
    site.set({"formats": {"allow": ["data", "text", "pickle"]}}).sync()
    assert shown() == {"hidden": "pickle"}

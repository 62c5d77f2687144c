"""What the real client learns about repos without downloading them."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile, RepoFolder

from tests.standin import Hub
from tests.standin.settings import EPOCH

from .conftest import WEIGHTS, Ask


def test_model_info_tells_commit_licence_and_file_digests(hub: Hub, api: HfApi) -> None:
    found = api.model_info("acme/tiny", files_metadata=True)
    assert found.sha == hub.model("acme/tiny").head()
    assert found.card_data is not None
    assert found.card_data.license == "apache-2.0"
    assert "license:apache-2.0" in (found.tags or [])
    weights = next(file for file in found.siblings or [] if file.rfilename == "model.safetensors")
    assert weights.lfs is not None
    assert (weights.lfs.sha256, weights.size) == (WEIGHTS.sha256, 3_000_000)


def test_expand_brings_only_what_was_asked(hub: Hub, ask: Ask) -> None:
    answer = ask(f"{hub.url}/api/models/acme/tiny?expand=sha&expand=gated").body
    assert answer.startswith(b'{"_id":')
    assert b'"sha":' in answer
    assert b'"gated":false' in answer
    assert b"cardData" not in answer
    assert ask(f"{hub.url}/api/models/acme/tiny?expand=nonsense").status == 400


def test_dataset_info_has_a_list_of_licences(api: HfApi) -> None:
    card = api.dataset_info("acme/rows").card_data
    assert card is not None
    assert card.license == ["mit", "cc0-1.0"]


def test_an_old_id_of_one_part_is_found(hub: Hub, api: HfApi) -> None:
    hub.model("gpt2").commit({"config.json": "{}"})
    assert api.model_info("gpt2").id == "gpt2"
    assert [entry.path for entry in api.list_repo_tree("gpt2")] == ["config.json"]


def test_lists_are_filtered_sorted_and_paged(hub: Hub, api: HfApi) -> None:
    hub.behaviour.list_page = 2
    for name, licence in (("a", "mit"), ("b", "mit"), ("c", "other"), ("d", "mit")):
        hub.model(f"acme/{name}", license=licence).commit({"x": name})
    hub.model("zed/a", license="mit", gated="manual").commit({"x": "x"})
    hub.model("acme/a").commit({"x": "newer"})
    hub.log.clear()
    listed = api.list_models(author="acme", filter="license:mit", sort="last_modified", expand=["sha", "cardData"])
    found = {repo.id: repo.sha for repo in listed}
    assert list(found) == ["acme/a", "acme/b", "acme/d"]
    assert found["acme/a"] == hub.model("acme/a").head()
    assert hub.calls("GET", "/api/models") == 2
    assert [repo.id for repo in api.list_models(gated=True)] == ["zed/a"]
    assert [repo.id for repo in api.list_models(search="TIN")] == ["acme/tiny"]
    assert [repo.id for repo in api.list_datasets(author="acme")] == ["acme/rows"]


@pytest.mark.parametrize("sort", ["downloads", "likes", "trending_score", "last_modified", "created_at"])
def test_a_list_is_sorted_by_each_figure_the_highest_first_and_limited(
    hub: Hub, api: HfApi, sort: Literal["downloads", "likes", "trending_score", "last_modified", "created_at"]
) -> None:
    for number, name in enumerate("abcd"):
        day = EPOCH + timedelta(days=number)
        repo = hub.model(f"acme/{name}", downloads=number, likes=number)
        repo.set(trending=number, created=day, last_modified=day)
        hub.dataset(f"acme/{name}", downloads=number, likes=number).set(trending=number, created=day, last_modified=day)
    hub.log.clear()
    assert [repo.id for repo in api.list_models(author="acme", sort=sort, limit=3)] == ["acme/d", "acme/c", "acme/b"]
    assert [repo.id for repo in api.list_datasets(author="acme", sort=sort, limit=2)] == ["acme/d", "acme/c"]
    assert len(hub.log) == 2


@pytest.mark.parametrize(
    ("query", "status"), [("sort=downloads&direction=-1", 200), ("sort=downloads&direction=1", 400), ("sort=x", 400)]
)
def test_a_list_is_never_sorted_the_lowest_first(hub: Hub, ask: Ask, query: str, status: int) -> None:
    assert ask(f"{hub.url}/api/models?{query}").status == status


def test_all_filters_of_a_list_must_fit(hub: Hub, api: HfApi) -> None:
    card = {"license": "mit", "pipeline_tag": "text-generation"}
    hub.model("acme/both", card=card, tags=["transformers"])
    hub.model("acme/one", card={"license": "mit"}, tags=["transformers"])
    hub.model("acme/none", card=card)
    fits = api.list_models(filter=["license:mit", "transformers"], pipeline_tag="text-generation")
    assert [repo.id for repo in fits] == ["acme/both"]


def test_a_private_repo_is_listed_only_for_those_who_may_see_it(hub: Hub, api: HfApi) -> None:
    hub.model("acme/secret", private=True).commit({"x": "x"})
    hub.token("hf_in", private=["acme/secret"])
    assert [repo.id for repo in api.list_models(author="acme")] == ["acme/tiny"]
    assert len(list(api.list_models(author="acme", token="hf_in"))) == 2


def test_a_tree_comes_in_pages_and_only_once_each(hub: Hub, api: HfApi) -> None:
    hub.behaviour.tree_page = 7
    hub.model("acme/many").commit({f"d{n % 3}/{n:03}.txt": str(n) for n in range(50)})
    hub.log.clear()
    paths = [entry.path for entry in api.list_repo_tree("acme/many", recursive=True)]
    assert len(paths) == len(set(paths)) == 53
    assert hub.calls("GET", "/api/models/acme/many/tree/*") == 8


def test_a_page_that_is_just_full_is_the_last(hub: Hub, ask: Ask) -> None:
    hub.behaviour.tree_page = 2
    hub.model("acme/two").commit({"a": "1", "b": "2"})
    assert ask(f"{hub.url}/api/models/acme/two/tree/main").headers["Link"] is None


def test_a_folder_lists_its_own_entries(api: HfApi) -> None:
    top = {entry.path: type(entry) for entry in api.list_repo_tree("acme/tiny")}
    assert top["sub"] is RepoFolder
    assert [entry.path for entry in api.list_repo_tree("acme/tiny", "sub")] == ["sub/ü ber.txt"]
    for path in ("nowhere", "config.json"):
        with pytest.raises(RemoteEntryNotFoundError):
            list(api.list_repo_tree("acme/tiny", path))


def test_git_ids_are_the_ones_git_gives(hub: Hub, api: HfApi) -> None:
    # As `git hash-object` names the two bytes "hi", and `git mktree` a folder that holds them as "f".
    # The pointer of the four bytes "PAR1" has 126 bytes.
    hub.model("acme/git").commit({"d/f": "hi"})
    (rows,) = api.get_paths_info("acme/rows", "data/train.parquet", repo_type="dataset")
    assert isinstance(rows, RepoFile)
    assert rows.blob_id == "c87423f2c99062cc709e7b36fd379cb1ab690a4c"
    assert rows.lfs is not None
    assert rows.lfs.pointer_size == 126
    entries = {entry.path: entry for entry in api.list_repo_tree("acme/git", recursive=True)}
    blob, folder = entries["d/f"], entries["d"]
    assert isinstance(blob, RepoFile)
    assert isinstance(folder, RepoFolder)
    assert blob.blob_id == "32f95c0d1244a78b2be1bab8de17906fabb2c4a8"
    assert folder.tree_id == "6044b63e4b229a3630d060f1dd8c078ebba34e78"


def test_expanded_entries_name_the_commit_that_changed_them(hub: Hub, api: HfApi) -> None:
    hub.model("acme/tiny").scan({"model.safetensors": "unsafe"}).commit({"config.json": "{ }"}, title="Second")
    found = {entry.path: entry for entry in api.list_repo_tree("acme/tiny", recursive=True, expand=True)}
    titles = {path: entry.last_commit.title for path, entry in found.items() if entry.last_commit}
    assert titles["config.json"] == "Second"
    assert titles["model.safetensors"] == titles["sub"] == "First"
    weights = found["model.safetensors"]
    assert isinstance(weights, RepoFile)
    assert weights.security is not None
    assert weights.security["status"] == "unsafe"


def test_refs_and_commits_follow_branches_tags_and_pull_requests(hub: Hub, api: HfApi) -> None:
    repo, first = hub.model("acme/tiny"), hub.model("acme/tiny").head()
    repo.tag("v1").branch("dev")
    second = repo.commit({"x": "x"}, title="On dev", branch="dev")
    proposed = repo.pull_request(3, {"y": "y"})
    refs = api.list_repo_refs("acme/tiny", include_pull_requests=True)
    assert {ref.name: ref.target_commit for ref in refs.branches} == {"main": first, "dev": second}
    assert [(ref.name, ref.ref) for ref in refs.tags] == [("v1", "refs/tags/v1")]
    assert [(ref.ref, ref.target_commit) for ref in refs.pull_requests or []] == [("refs/pr/3", proposed)]
    assert api.model_info("acme/tiny", revision="refs/pr/3").sha == proposed
    hub.behaviour.commits_page = 1
    assert [commit.commit_id for commit in api.list_repo_commits("acme/tiny", revision="dev")] == [second, first]


def test_paths_info_leaves_unknown_paths_out(api: HfApi) -> None:
    found = api.get_paths_info("acme/tiny", ["sub/ü ber.txt", "sub", "nowhere"], expand=True)
    assert [entry.path for entry in found] == ["sub/ü ber.txt", "sub"]


def test_a_renamed_repo_redirects_and_tells_its_new_name(hub: Hub, api: HfApi, ask: Ask) -> None:
    hub.rename("acme/tiny", "acme/small")
    assert ask(f"{hub.url}/api/models/acme/tiny").headers["Location"] == "/api/models/acme/small"
    assert api.model_info("acme/tiny").id == "acme/small"
    assert len(list(api.list_repo_tree("acme/tiny", recursive=True))) == 5
    assert api.model_info("ACME/Small").id == "acme/small"


def test_missing_private_disabled_and_wrong_revisions_are_told_apart(hub: Hub, api: HfApi) -> None:
    hub.token("hf_in")
    hub.model("acme/secret", private=True).commit({"x": "x"})
    hub.model("acme/off", disabled=True).commit({"x": "x"})
    for repo_id in ("acme/secret", "acme/missing"):
        with pytest.raises(RepositoryNotFoundError):
            api.model_info(repo_id, token="hf_in")
        with pytest.raises(HfHubHTTPError, match="Invalid username or password"):
            api.model_info(repo_id)
    with pytest.raises(DisabledRepoError):
        api.model_info("acme/off")
    with pytest.raises(RevisionNotFoundError):
        api.model_info("acme/tiny", revision="nowhere")
    with pytest.raises(HfHubHTTPError, match="Invalid credentials"):
        api.model_info("acme/tiny", token="hf_unknown")


def test_metadata_of_a_gated_repo_is_public_but_its_gate_holds(hub: Hub, api: HfApi) -> None:
    hub.model("acme/gated", gated="manual").commit({"x": "x"})
    hub.token("hf_in", approved=["acme/gated"])
    hub.token("hf_out")
    assert api.model_info("acme/gated").gated == "manual"
    api.auth_check("acme/gated", token="hf_in")
    for token, status in (("hf_out", 403), (False, 401)):
        with pytest.raises(GatedRepoError) as refusal:
            api.auth_check("acme/gated", token=token)
        assert refusal.value.response.status_code == status


def test_whoami_knows_the_token(hub: Hub, api: HfApi) -> None:
    hub.token("hf_in", "alice")
    assert api.whoami(token="hf_in")["name"] == "alice"
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        api.whoami(token="hf_unknown")


def test_the_card_belongs_to_its_commit(hub: Hub, api: HfApi) -> None:
    repo = hub.model("acme/card", license="mit")
    first = repo.commit({"x": "1"})
    repo.commit({"README.md": "---\nlicense: other\n---\n"})
    licences = [api.model_info("acme/card", revision=revision).card_data for revision in (first, "main")]
    assert [card.license if card else None for card in licences] == ["mit", "other"]
    repo.set(license="gemma", license_tags=["mit"])
    now = api.model_info("acme/card")
    assert now.card_data is not None
    assert now.card_data.license == "gemma"
    assert "license:mit" in (now.tags or [])

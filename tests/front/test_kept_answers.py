"""What nginx keeps of an answer is given to nobody whose answer would be another one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import Published, model
from tests.front.mirrors import Mirror, by_nginx
from tests.requirements import need

FILES = {f"data/{number:04}.txt": b"%d" % (number % 7) for number in range(1500)}


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Published:
    repo = model(DirectoryStore(tmp_path_factory.mktemp("mirror")))
    repo.publish(FILES)
    return repo


@pytest.fixture(scope="module")
def mirror(repo: Published, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    need("nginx")
    assert isinstance(repo.store, DirectoryStore)
    # what is kept, is kept as long as this module runs
    options = NginxOptions(DirectoryTarget(repo.store.root), refs_seconds=600)
    with by_nginx(repo.store, options, tmp_path_factory.mktemp("front") / "front") as one:
        yield one


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host"])
def test_a_link_leads_where_this_client_found_us_whoever_asked_before(
    mirror: Mirror, repo: Published, name: str
) -> None:
    for host in ("one.example.org", "two.example.org", "one.example.org"):
        answer = mirror.get(f"{repo.api}/tree/main?recursive=true", **{name: host})
        assert answer.status == 200
        assert f"<http://{host}/api/" in answer.headers["Link"]


def test_a_path_before_ours_and_a_scheme_are_this_client_s_alone(mirror: Mirror, repo: Published) -> None:
    asked = f"{repo.api}/tree/main?recursive=true"
    for headers, wanted in (
        ({"X-Forwarded-Prefix": "/hf", "Host": "m.example.org"}, "<http://m.example.org/hf/api/"),
        ({"Host": "m.example.org"}, "<http://m.example.org/api/"),
        ({"X-Forwarded-Proto": "https", "Host": "m.example.org"}, "<https://m.example.org/api/"),
        ({"X-Forwarded-Proto": "nonsense", "Host": "m.example.org"}, "<http://m.example.org/api/"),
    ):
        assert wanted in mirror.get(asked, **headers).headers["Link"]


def test_a_condition_a_method_and_a_token_are_answered_for_themselves(mirror: Mirror, repo: Published) -> None:
    whole = mirror.get(repo.api)
    assert mirror.get(repo.api).body == whole.body
    assert mirror.get(repo.api, **{"If-None-Match": whole.headers["ETag"]}).status == 304
    assert mirror.get(repo.api, Authorization="Bearer hf_stranger").body == whole.body
    ranged = mirror.get(repo.api, Range="bytes=0-3")
    assert (ranged.status, ranged.body) == (200, whole.body)


def test_a_listing_of_modelscope_is_kept_by_all_that_was_asked(mirror: Mirror, repo: Published) -> None:
    at = f"/api/v1/models/{repo.repo.id}/repo"
    pages = [
        mirror.get(f"{at}/tree?Recursive=True&PageNumber={n}&PageSize=700").json["Data"]["Files"] for n in (1, 2, 3)
    ]
    assert [len(page) for page in pages] == [700, 700, 101]
    assert mirror.get(f"{at}/tree?Recursive=True&PageNumber=2&PageSize=700").json["Data"]["Files"] == pages[1]
    assert mirror.get(f"{at}/files").json["Data"]["Files"] != pages[0]
    assert mirror.get(f"{at}/files?Revision=none").json["Success"] is False
    assert mirror.get(f"{at}/files", Cookie="m_session_id=hf_stranger").status == 200


def test_what_is_not_here_is_looked_for_each_time(mirror: Mirror, repo: Published) -> None:
    asked = f"{repo.api}/revision/next"
    assert mirror.get(asked).status == 404
    repo.publish({"new.txt": b"new"}, branch="next")
    # refs.json itself is kept by nothing over a directory
    assert mirror.get(asked).status == 200


def test_no_header_of_ours_is_taken_from_a_client(mirror: Mirror, repo: Published) -> None:
    answer = mirror.get(f"{repo.api}/tree/main?recursive=true", **{"X-Asked-Host": "evil.example.org"})
    assert "evil" not in answer.headers["Link"]

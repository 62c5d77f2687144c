"""What a target says that a replica has of a repo is there, whatever dies; and all of it is said in the end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mirror_sync.config.load import load
from mirror_sync.config.promoted_target import promoted
from mirror_sync.domain.content.keys import REPLICAS, replica_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.replicas import decode_held
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import KeyMissing
from mirror_sync.ports.store import read_all
from tests.places.site import Died, Site

FRONT = "https://far.example.org/hub"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, replica={"front": FRONT})


def said(site: Site) -> dict[str, frozenset[Sha256]]:
    """Of each repo the roots that are promised."""
    found = {}
    for name in ("acme/one", "acme/two", "acme/three"):
        try:
            found[name] = decode_held(read_all(site.main(), replica_key("far", Repo.parse(name)), 4096))
        except KeyMissing:
            found[name] = frozenset()
    return found


def there(site: Site) -> dict[str, frozenset[Sha256]]:
    return {name: frozenset(site.published(site.far(), name).snapshots.values()) for name in said(site)}


def copy(site: Site) -> None:
    with site.copying() as copying:
        assert copying.soon()


def test_a_pass_that_dies_anywhere_has_promised_nothing_that_is_not_there(site: Site) -> None:
    site.more = {"site": {"enabled": False}}
    site.job["retention"] = {"snapshots": 1}
    for name in ("acme/one", "acme/two"):
        site.write(name, a_txt="1")
    site.sync()
    copy(site)
    assert said(site) == there(site)
    site.write("acme/one", a_txt="2")
    site.write("acme/three", a_txt="3")
    site.sync()
    site.prune()  # acme/one has another root alone
    site.withdraw("acme/two")
    for name in ("main", "far", "state"):
        shutil.copytree(site.folder / name, site.folder / f"{name}.kept")
    before, seen, at, died = said(site), list[dict[str, frozenset[Sha256]]](), 0, True
    while died:
        for name in ("main", "far", "state"):
            shutil.rmtree(site.folder / name, ignore_errors=True)
            shutil.copytree(site.folder / f"{name}.kept", site.folder / name, dirs_exist_ok=True)
        with site.copying() as copying:
            copying.far.dies = at
            try:
                copying.copy()
            except Died:
                pass
            else:
                died = False
        promised, held = said(site), there(site)
        assert all(promised[name] <= held[name] for name in held), at
        seen.append(promised)
        at += 1
    assert before in seen
    assert seen[-1] == there(site)
    assert seen[-1]["acme/two"] == frozenset()
    assert seen[-1]["acme/one"] != before["acme/one"]


def test_records_come_with_the_key_and_go_with_it_and_of_a_replica_that_was_emptied_none_stays(site: Site) -> None:
    for name in ("acme/one", "acme/two"):
        site.write(name, a_txt=name)
    site.sync()
    front = site.replica.pop("front")
    copy(site)
    assert list(site.main().list(REPLICAS)) == []
    site.replica["front"] = front
    with site.copying() as copying:
        assert copying.soon()
        assert not [key for key in copying.far.writes if "blobs/" in key], "nothing is copied for it"
        assert said(site) == there(site)
        assert copying.soon()
        assert copying.main.calls["put"] == 0, "nothing is told twice"
    site.replica["name"] = "elsewhere"
    copy(site)
    assert site.main().stat(replica_key("elsewhere", Repo.parse("acme/one"))) is not None
    site.replica["name"] = "far"
    copy(site)
    shutil.rmtree(site.folder / "far")
    with site.copying() as copying:
        copying.far.fails = lambda verb, key: verb == "put" and "acme--two" in key
        assert not copying.soon()
    assert said(site) == there(site)
    assert said(site)["acme/one"]
    assert not said(site)["acme/two"]
    site.replica.pop("front")
    copy(site)
    assert [stat.key for stat in site.main().list(f"{REPLICAS}far/")] == []


@pytest.mark.parametrize("entry", [
    "      - name: far\n        url: ./far\n        front: https://far.example.org  # in DNS\n        wait: 1m\n",
    "      - {name: far, front: https://far.example.org, url: ./far, hours: '01:00-06:00'}\n",
    "      - {front: https://far.example.org, name: far, url: ./far}\n",
    "      - {name: far, url: ./far, front: https://far.example.org}\n",
])  # fmt: skip
def test_the_address_of_what_is_the_target_now_is_left_out(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "jobs.yaml"
    text = (
        "version: 1\nstate_dir: ./state\nupstreams: {local: {kind: directory, url: ./in}}\n"
        f"targets:\n  main:\n    url: ./main\n    replicas:\n{entry}"
        "jobs:\n  - {name: b, target: main, repos: [acme/b]}\n"
    )
    path.write_text(text, encoding="utf-8")
    assert load(path, {}).fronts_beside("main")
    path.write_text(promoted(path, text, "main", "far"), encoding="utf-8")
    after = load(path, {})
    assert [one.name for one in after.targets["far"].replicas] == ["main"]
    assert after.fronts_beside("far") == ()

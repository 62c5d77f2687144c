"""Two names for one place are a fault, however the place is spelled; two places are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.config.keys.values import address_values
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target
from mirror_sync.domain.url import Url
from tests.config.texts import JOBS, LICENSES, UPSTREAMS, faults, settings

SERVER = "http://127.0.0.1:9000"


def text(*targets: str) -> str:
    entries = "".join(f"  t{number}: {{{entry}}}\n" for number, entry in enumerate(targets))
    return f"{UPSTREAMS}targets:\n{entries}{LICENSES}jobs: [{{name: one, repos: [a/b], target: t0}}]\n"


def bucket(url: str, endpoint: str = "") -> str:
    return f"url: '{url}', endpoint_url: '{endpoint}'"


SAME = [
    ("url: file:///srv/mirror", "url: /srv/mirror"),
    ("url: /srv/mirror", "url: /srv/./x/../mirror/"),
    ("url: ./mirror", "url: 'file:mirror'"),
    ("url: /srv/mirror, grace: 1h", "url: /srv/mirror, grace: 2h"),
    (bucket("s3://models", SERVER), bucket("s3://models/", f"{SERVER}/")),
    (bucket("s3://models/a", SERVER), bucket("s3://models/a/", "http://LOCALHOST:9000")),
    (bucket("s3://models", SERVER), bucket("s3://models", "http://[::1]:9000")),
    (bucket("s3://models", "https://S3.Example.org"), bucket("s3://models", "https://s3.example.org:443")),
    (bucket("s3://models", "http://s3.example.org"), bucket("s3://models", "http://s3.example.org:80")),
    (bucket("s3://models"), bucket("s3://models", "https://s3.eu-central-1.amazonaws.com")),
    (bucket("s3://models") + ", region: eu-central-1", bucket("s3://models") + ", region: us-east-1"),
    (bucket("s3://models", SERVER) + ", addressing: path", bucket("s3://models", SERVER)),
]
DIFFERENT = [
    ("url: /srv/mirror", "url: /srv/mirror2"),
    ("url: /srv/mirror", "url: /srv/mirror/inside"),
    ("url: /srv/mirror", "url: /srv/Mirror"),
    (bucket("s3://models", SERVER), bucket("s3://models/a", SERVER)),
    (bucket("s3://models/a", SERVER), bucket("s3://models/A", SERVER)),
    (bucket("s3://models", SERVER), bucket("s3://others", SERVER)),
    (bucket("s3://models", SERVER), bucket("s3://models", "http://127.0.0.1:9001")),
    (bucket("s3://models", "https://s3.example.org"), bucket("s3://models", "http://s3.example.org")),
    (bucket("s3://models", "https://x.example/a"), bucket("s3://models", "https://x.example/b")),
    (bucket("s3://models"), bucket("s3://models", "https://s3.amazonaws.com.cn")),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_place_under_two_names_is_a_fault_that_names_both(one: str, other: str) -> None:
    (found,) = faults(text(one, other))
    assert found.startswith("jobs.yaml:4:7: targets.t1: 't1' and 't0' are one place, '")
    assert found.endswith("; keep one of them, and name it in all jobs")


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_places_are_two(one: str, other: str) -> None:
    assert len(settings(text(one, other)).targets) == 2


def test_every_further_name_is_told() -> None:
    found = faults(text("url: /srv/a", "url: /srv/b", "url: /srv/a", "url: /srv/b", "url: /srv/a"))
    assert [line.split(": ")[1] for line in found] == ["targets.t2", "targets.t3", "targets.t4"]


def test_a_link_is_the_folder_that_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (found,) = faults(text(f"url: '{tmp_path}/real/x'", f"url: '{tmp_path}/link/x'"))
    assert "'t1' and 't0' are one place" in found


def test_a_target_with_faults_of_its_own_is_no_place() -> None:
    (found,) = faults(text("url: /srv/a", "url: /srv/a, grace: x"))
    assert "targets.t1.grace" in found


labels = st.text("abcAB01", min_size=1, max_size=6)


@given(labels, labels, labels, st.sampled_from(["", ":80", ":443", ":9000"]), st.booleans())
def test_a_spelling_in_other_letters_is_the_same_host_but_no_other_bucket(
    host: str, name: str, prefix: str, port: str, tls: bool
) -> None:
    url = f"{'https' if tls else 'http'}://{host}.example{port}"
    one = S3Target(f"{name}-x", url, prefix=f"{prefix}/")
    assert place_of(one) == place_of(S3Target(f"{name}-x", url.replace(host, host.swapcase()), prefix=f"{prefix}/"))
    assert place_of(one) != place_of(S3Target(f"{name}-y", url, prefix=f"{prefix}/"))
    assert place_of(one) != place_of(S3Target(f"{name}-x", url, prefix=""))
    assert place_of(one) != place_of(DirectoryTarget(Path("/srv") / name))


ONE_READING = {
    "https://hub.example": "https://hub.example",
    "https://HUB.example:443/": "https://hub.example",
    "http://hub.example:80/hf/": "http://hub.example/hf",
    "http://[::0001]:9000": "http://[::1]:9000",
    "http://10.0.0.7:9000": "http://10.0.0.7:9000",
    "http://minio_1:9000": "http://minio_1:9000",
}
NO_READING = [
    *("http://127.1", "http://0x7f.0.0.1", "http://2130706433", "http://a..b", "http://a%2eb", "http://a\\b"),
    *("http://a:0", "http://a:70000", "http:/a", "http:a", "http:///a", "ftp://a", "http://a b", "http://ä.example"),
]


@pytest.mark.parametrize(("text", "read"), ONE_READING.items())
def test_an_address_is_kept_as_those_read_it_who_connect(text: str, read: str) -> None:
    assert address_values.endpoint(text) == read
    assert str(Url.parse(text)).rstrip("/") == read


@pytest.mark.parametrize("text", NO_READING)
def test_an_address_that_two_readers_might_read_differently_is_a_fault(text: str) -> None:
    """Of an upstream, of a bucket's server, of a chat."""
    with pytest.raises(ValueError, match="must be an address like"):
        address_values.endpoint(text)
    (found,) = faults(f"{UPSTREAMS}targets: {{a: {{url: /m}}}}\n{LICENSES}{JOBS}on: {{failed: [{{post: '{text}'}}]}}\n")
    assert found.endswith("on.failed[0].post: is no address; write https://hooks.example.org/...")


def test_the_address_of_a_notice_names_no_user() -> None:
    """It would not be sent, and a proxy in between might take it for another's."""
    post = "on: {failed: [{post: 'https://me:secret@hooks.example/x'}]}\n"
    (found,) = faults(f"{UPSTREAMS}targets: {{a: {{url: /m}}}}\n{LICENSES}{JOBS}{post}")
    assert "is no address" in found
    assert "secret" not in found


@pytest.mark.parametrize(("target", "replica"), [("/srv/m", "/srv/m/far"), ("/srv/m/near", "/srv/x/../m")])
def test_a_replica_lies_neither_inside_its_target_nor_around_it(target: str, replica: str) -> None:
    targets = f"targets: {{t0: {{url: {target}, replicas: [{{name: far, url: {replica}}}]}}}}\n"
    (found,) = faults(f"{UPSTREAMS}{targets}{LICENSES}{JOBS}")
    assert "targets.t0.replicas[0].url: '/srv/m/" in found
    assert "' lies inside '/srv/m': who loses one loses both" in found
    beside = targets.replace(f"url: {replica}", "url: /srv/m-far")
    assert len(settings(f"{UPSTREAMS}{beside}{LICENSES}{JOBS}").targets) == 1


@pytest.mark.parametrize(("target", "cold"), [("/srv/m", "/srv/m/cold"), ("/srv/m/warm", "/srv/x/../m")])
def test_a_cold_place_lies_neither_inside_its_target_nor_around_it(target: str, cold: str) -> None:
    tiers = f"tiers: {{logs: [/l], cold: {{after_unread: 30d, target: {{url: {cold}}}}}}}"
    targets = f"targets: {{t0: {{url: {target}, {tiers}}}}}\n"
    (found,) = faults(f"{UPSTREAMS}{targets}{LICENSES}{JOBS}")
    assert "targets.t0.tiers.cold.target.url: '/srv/m/" in found
    assert "' lies inside '/srv/m'; a cold tier has a place of its own, outside its target's" in found
    beside = targets.replace(f"url: {cold}", "url: /srv/m-cold")
    assert len(settings(f"{UPSTREAMS}{beside}{LICENSES}{JOBS}").targets) == 1


def test_a_replica_has_not_the_name_of_its_target() -> None:
    targets = "targets: {t0: {url: /srv/m, replicas: [{name: t0, url: /srv/far}]}}\n"
    (found,) = faults(f"{UPSTREAMS}{targets}{LICENSES}{JOBS}")
    assert "targets.t0.replicas[0].name: 't0' is the name of its target, too" in found


def test_models_of_ones_own_stand_in_no_place_that_a_replica_or_another_upstream_has() -> None:
    owns = "upstreams:\n  hub: {kind: huggingface}\n  mine: {kind: own, url: 'file:///srv/own'}\n"
    jobs = f"{LICENSES}jobs: [{{name: one, repos: [a/b], upstream: hub, target: t0}}]\n"
    targets = "targets:\n  t0: {url: /srv/mirror, replicas: [{name: far, url: /srv/x/../own}]}\n"
    (found,) = faults(f"{owns}{targets}{jobs}")
    assert "targets.t0.replicas[0]: 'far' and 'mine' are one place, 'file:///srv/own'" in found
    (found,) = faults(f"{owns}  ours: {{kind: own, url: 'file:///srv/own/'}}\ntargets: {{t0: {{url: /srv/m}}}}\n{jobs}")
    assert "upstreams.ours: 'ours' and 'mine' are one place" in found
    assert len(settings(f"{owns}{targets.replace('x/../own', 'other')}{jobs}").targets) == 1

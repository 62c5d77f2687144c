"""Every key of jobs.yaml shows its effect on the settings."""

from __future__ import annotations

from datetime import time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mirror_sync.config.keys.program_entries import LimitsEntry, WatchEntry
from mirror_sync.config.keys.values.address_values import Listen
from mirror_sync.config.settings import Settings
from mirror_sync.domain.access.reader_limits import ReaderLimits
from mirror_sync.domain.content.keys import Caching
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.job.bandwidth import Window
from mirror_sync.domain.job.guard import Guard
from mirror_sync.domain.job.hours import Hours
from mirror_sync.domain.job.job import Cron, Every, Job
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target, Target
from mirror_sync.domain.job.upstreams import DirectoryUpstream, HubUpstream, Timeouts, Upstream
from mirror_sync.domain.policy.gone import OnGone
from mirror_sync.domain.policy.licences import Approval, LicensePolicy, Missing
from mirror_sync.domain.repo import Kind, Repo, RepoPattern
from tests.config.texts import JOBS, LICENSES, REST, TARGETS, UPSTREAMS, settings, warnings

MOVE = f"{'a' * 40}..{'b' * 40}"
NIGHTS = (
    Window(time(22), time(6), None, frozenset({0, 1})),
    Window(time(0), time(0), None, frozenset({6})),
)


def upstream(entry: str, folder: Path, **environ: str) -> Upstream:
    text = f"upstreams: {{it: {{{entry}}}}}\n{TARGETS}{LICENSES}{JOBS}"
    return settings(text, folder, **environ).upstreams["it"]


def target(entry: str, folder: Path, **environ: str) -> Target:
    text = f"{UPSTREAMS}targets: {{it: {{{entry}}}}}\n{LICENSES}{JOBS}"
    return settings(text, folder, **environ).targets["it"]


def job(entry: str, **more: str) -> Job:
    rest = "".join(f"{key}: {value}\n" for key, value in more.items())
    text = f"{UPSTREAMS}{TARGETS}{rest}jobs: [{{name: one, repos: [acme/small], {entry}}}]\n"
    return settings(text).jobs[0]


def test_three_keys_are_enough_and_the_rest_has_defaults(tmp_path: Path) -> None:
    found = settings(UPSTREAMS + TARGETS + JOBS, tmp_path)
    assert found == Settings(
        path=tmp_path / "jobs.yaml",
        state_dir=tmp_path / "var/state",
        upstreams={"hub": HubUpstream(("https://huggingface.co",))},
        targets={"disk": DirectoryTarget(tmp_path / "mirror")},
        jobs=(Job("one", (RepoPattern(Kind.MODEL, "acme/small"),), "hub", "disk"),),
        warnings=found.warnings,
    )


def test_version_and_state_dir(tmp_path: Path) -> None:
    assert settings(f"version: 1\nstate_dir: ../state\n{REST}{JOBS}", tmp_path).state_dir == tmp_path / "../state"
    assert settings(f"version: ${{V}}\nstate_dir: /srv/s\n{REST}{JOBS}", V="1").state_dir == Path("/srv/s")


def test_a_hub_has_endpoints_in_order_without_a_final_slash_and_each_once(tmp_path: Path) -> None:
    found = upstream(
        "kind: huggingface, endpoints: ['https://a.example/', 'http://b:81/hub', 'https://a.example']", tmp_path
    )
    assert found == HubUpstream(("https://a.example", "http://b:81/hub"))


@pytest.mark.parametrize(
    ("entry", "token"),
    [
        ("token: hf_abc", "hf_abc"),
        ('token: "${HF}"', "hf_env"),
        ('token: "${NOT_SET:-}"', None),
        ('token: ""', None),
        ("token_file: secrets/token", "hf_file"),
        ('token_file: "file:${HERE}/secrets/token"', "hf_file"),
    ],
)
def test_a_token_comes_from_the_file_the_environment_or_a_file_of_its_own(
    entry: str, token: str | None, tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/token").write_text("hf_file\n", encoding="utf-8")
    found = upstream(f"kind: huggingface, {entry}", tmp_path, HF="hf_env", HERE=str(tmp_path))
    assert found == HubUpstream(("https://huggingface.co",), token)


@pytest.mark.parametrize(
    ("entry", "tokens"),
    [
        ("token: hf_a, endpoints: ['https://a.example', 'https://b.example']", ["hf_a", None]),
        ("token: hf_a, endpoints: ['https://a.example/hf', 'https://A.example:443/x']", ["hf_a", "hf_a"]),
        ("token: hf_a, endpoints: ['https://a.example', 'https://a.example:444']", ["hf_a", None]),
        ("token: hf_a, endpoints: ['https://a.example', 'http://a.example']", ["hf_a", None]),
        ("token: hf_a, endpoints: ['https://a.example', {url: 'https://b.example', token: hf_b}]", ["hf_a", "hf_b"]),
        ("token: hf_a, endpoints: [{url: 'https://a.example/', token: hf_b}, 'https://a.example/x']", ["hf_b", "hf_a"]),
        ("token: hf_a, endpoints: ['https://a.example', {url: 'https://a.example/x', token: ''}]", ["hf_a", None]),
        ("endpoints: ['https://a.example', {url: 'https://b.example', token_file: token}]", [None, "hf_file"]),
        ("token_file: token, endpoints: ['https://a.example', {url: 'https://b.example'}]", ["hf_file", None]),
        ("endpoints: [{url: 'https://a.example', token: hf_a}, {url: 'https://a.example', token: hf_b}]", ["hf_a"]),
    ],
)
def test_a_token_is_for_the_first_endpoints_server_unless_an_entry_says_otherwise(
    entry: str, tokens: list[str | None], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("hf_file\n", encoding="utf-8")
    found = upstream(f"kind: huggingface, {entry}", tmp_path)
    assert isinstance(found, HubUpstream)
    assert [found.token_for(endpoint) for endpoint in found.endpoints] == tokens


HUB: list[tuple[str, dict[str, Any]]] = [
    ("timeouts: {}", {}),
    ("timeouts: {connect: 5s, first_byte: 1m}", {"timeouts": Timeouts(connect=5, first_byte=60)}),
    ("timeouts: {stall: 90s, min_rate: 10KB/s, over: 2m}", {"timeouts": Timeouts(10, 30, 90, 10_000, 120)}),
    ("timeouts: {min_rate: 2 MiB/s}", {"timeouts": Timeouts(min_rate=2 * 1024 * 1024)}),
    ("timeouts: {min_rate: '${NOT_SET:-0B/s}'}", {"timeouts": Timeouts(min_rate=0)}),
    ("reserve: 0%", {"reserve": 0.0}),
    ("reserve: 25 %", {"reserve": 0.25}),
    ("allow_private: true", {"allow_private": True}),
    ("allow_private: '${NOT_SET:-true}'", {"allow_private": True}),
    ("allow_private: false", {}),
]


@pytest.mark.parametrize(("entry", "wanted"), HUB)
def test_a_hub_has_its_patience_its_reserve_and_its_bounds(entry: str, wanted: dict[str, Any], tmp_path: Path) -> None:
    assert upstream(f"kind: huggingface, {entry}", tmp_path) == HubUpstream(("https://huggingface.co",), **wanted)


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("file:///srv/a%20b", "/srv/a b"),
        ("file:/srv/a", "/srv/a"),
        ("/srv/a%20b", "/srv/a%20b"),
        ("./rel/x", "{here}/rel/x"),
        ("rel", "{here}/rel"),
        ("file:rel/x", "{here}/rel/x"),
        ('"${HERE}/x"', "{here}/x"),
    ],
)
def test_a_folder_is_absolute_or_beside_jobs_yaml(url: str, root: str, tmp_path: Path) -> None:
    wanted = Path(root.format(here=tmp_path))
    assert target(f"url: {url}", tmp_path, HERE=str(tmp_path)) == DirectoryTarget(wanted)
    assert upstream(f"kind: directory, url: {url}", tmp_path, HERE=str(tmp_path)) == DirectoryUpstream(wanted)


S3: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("endpoint_url: 'http://127.0.0.1:9000/'", {"endpoint_url": "http://127.0.0.1:9000"}),
    ("endpoint_url: 'http://[::1]:9000'", {"endpoint_url": "http://[::1]:9000"}),
    ("endpoint_url: ''", {"endpoint_url": None}),
    ("region: us-east-1", {"region": "us-east-1"}),
    ("region: ''", {"region": None}),
    ("access_key: AK, secret_key: SK", {"access_key": "AK", "secret_key": "SK"}),
    ("access_key: '${A:-}', secret_key: '${B:-}'", {"access_key": None, "secret_key": None}),
    ("addressing: path", {"addressing": "path"}),
    ("addressing: virtual", {"addressing": "virtual"}),
    ("sign: all", {"sign": "all"}),
    ("multipart: off", {"multipart": False}),
    ("confirm: off", {"confirm": False}),
]


@pytest.mark.parametrize(("entry", "wanted"), S3)
def test_a_bucket_has_what_is_said_and_leaves_the_rest_to_boto3(
    entry: str, wanted: dict[str, Any], tmp_path: Path
) -> None:
    assert target(f"url: 's3://models', {entry}", tmp_path) == S3Target("models", **wanted)


@pytest.mark.parametrize(
    ("url", "prefix"), [("s3://models/", ""), ("s3://models/a/b", "a/b/"), ("s3://models/a/", "a/")]
)
def test_a_prefix_is_empty_or_ends_with_a_slash(url: str, prefix: str, tmp_path: Path) -> None:
    assert target(f"url: '{url}'", tmp_path) == S3Target(url.split("/")[2], prefix=prefix)


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ("listen: 0.0.0.0:80", {"listen": Listen("0.0.0.0", 80)}),
        ("listen: 'localhost:8081'", {"listen": Listen("localhost", 8081)}),
        ("listen: '[::1]:8081'", {"listen": Listen("::1", 8081)}),
        ("bucket: public", {"bucket": "public"}),
        ("url: 'https://models.example.org/'", {"url": "https://models.example.org"}),
        ("url: 'http://[::1]:80/some/hub'", {"url": "http://[::1]/some/hub"}),
        ("url: ''", {}),
        ("user: www-data", {"user": "www-data"}),
        ("user: ''", {}),
        ("cache: 200 GiB", {"cache": 200 << 30}),
        ("cache: 500MB", {"cache": 500_000_000}),
        ("cache: 0", {"cache": 0}),
        ("cache: '0'", {"cache": 0}),
        ("by_digest: on", {"by_digest": True}),
        ("oci: on", {"oci": True}),
        ("torrents: on, url: 'https://m.example.org'", {"torrents": True, "url": "https://m.example.org"}),
        ("cors: '*'", {}),
        ("cors: off", {"cors": ()}),
        ("cors: 'off'", {"cors": ()}),
        (
            "cors: ['https://App.Example.org:443/', 'http://127.0.0.1:3000', 'https://app.example.org']",
            {"cors": ("https://app.example.org", "http://127.0.0.1:3000")},
        ),
    ],
)
def test_front(entry: str, wanted: dict[str, Any]) -> None:
    plain = {"listen": Listen("127.0.0.1", 8080), "bucket": "private", "url": None, "user": None, "cache": 16 << 30}
    plain |= {
        "kernel_publishers": (),
        "miss": "404",
        "s3": False,
        "s3_listen": None,
        "by_digest": False,
        "oci": False,
        "torrents": False,
        "cors": ("*",),
        "tls": None,
        "limits": LimitsEntry(),
        "watch": WatchEntry(),
    }
    assert dict(settings(f"{REST}{JOBS}front: {{{entry}}}\n").front) == plain | wanted


def test_what_a_reader_may_ask_is_read_as_it_is_counted() -> None:
    some = settings(f"{REST}{JOBS}front: {{limits: {{requests: 200/s, connections: 64, bandwidth: 1GB/s}}}}\n")
    assert some.front.limits.limits == ReaderLimits(12_000, 64, 1_000_000_000)
    few = settings(f"{REST}{JOBS}front: {{limits: {{requests: '30 /m'}}}}\n").front.limits.limits
    assert (few, bool(few), bool(settings(f"{REST}{JOBS}").front.limits.limits)) == (ReaderLimits(30), True, False)


@pytest.mark.parametrize(
    ("entry", "size", "caching"),
    [
        ("{size: 1GiB, immutable: 1h, pointers: 0s}", 1 << 30, Caching(3600, 0)),
        ("{pointers: 5s}", 16 << 30, Caching(31_536_000, 5)),
        ("1GiB", 1 << 30, Caching()),
    ],
)
def test_caches_are_told_by_fronts_and_by_objects_of_a_bucket(entry: str, size: int, caching: Caching) -> None:
    found = settings(f"{REST}{JOBS}front: {{cache: {entry}}}\n".replace("url: ./mirror", "url: 's3://models'"))
    assert (found.front.caches.size, found.front.caches.caching) == (size, caching)
    assert [one.caching for one in found.targets.values() if isinstance(one, S3Target)] == [caching]


def test_files_of_tls_are_meant_from_beside_the_file_and_the_version_may_be_a_number() -> None:
    found = settings(f"{REST}{JOBS}front: {{tls: {{certificate: m.pem, key: /etc/ssl/m.key, min_version: 1.2}}}}\n")
    assert found.front.tls is not None
    assert found.front.tls.certificate == str((found.path.parent / "m.pem").absolute())
    assert (found.front.tls.key, found.front.tls.min_version) == ("/etc/ssl/m.key", "1.2")


@pytest.mark.parametrize(
    ("text", "listen", "secret"),
    [
        ("", Listen("127.0.0.1", 9108), None),
        ("http: {}", Listen("127.0.0.1", 9108), None),
        ("http: {listen: '[::]:9000'}", Listen("::", 9000), None),
        ("http: {webhook_secret: whsec-1234}", Listen("127.0.0.1", 9108), "whsec-1234"),
        ("http: {webhook_secret: '${NOT_SET:-}'}", Listen("127.0.0.1", 9108), None),
        ("http: {listen: none, webhook_secret: whsec-1234}", None, None),
    ],
)
def test_http(text: str, listen: Listen | None, secret: str | None) -> None:
    found = settings(f"{REST}{JOBS}{text}\n" if text else REST + JOBS).http
    assert (found.listen, found.secret) == (listen, secret)


@pytest.mark.parametrize(
    ("entry", "address", "patience"),
    [
        ("", None, 60.0),
        ("engine: {kind: threads}", None, 60.0),
        ("engine: {kind: dask, address: 'tcp://s:8786'}", "tcp://s:8786", 60.0),
        ("engine: {kind: dask, address: 'tls://[::1]:1', wait: 90m}", "tls://[::1]:1", 5400.0),
    ],
)
def test_engine(entry: str, address: str | None, patience: float) -> None:
    found = settings(f"{REST}{JOBS}{entry}\n").engine
    assert (found.address, found.patience) == (address, patience)


@pytest.mark.parametrize(
    ("entry", "schedule"),
    [
        ("schedule: {every: 6h}", Every(timedelta(hours=6))),
        ("schedule: {every: 1d12h, jitter: 30s}", Every(timedelta(days=1, hours=12), timedelta(seconds=30))),
        ("schedule: {cron: '0 3 * * *'}", Cron("0 3 * * *", "UTC")),
        (
            "schedule: {cron: '0 3 * * mon', timezone: Asia/Shanghai, jitter: 5m}",
            Cron("0 3 * * mon", "Asia/Shanghai", timedelta(minutes=5)),
        ),
        (
            "schedule: {every: 6h, only: ['22:00-06:00 mon, tue', '00:00-24:00 sun'], timezone: Asia/Shanghai}",
            Every(timedelta(hours=6), only=Hours(NIGHTS, ZoneInfo("Asia/Shanghai"))),
        ),
        ("schedule: {cron: '0 3 * * *', only: '22:00-06:00 mon,tue'}", Cron("0 3 * * *", only=Hours(NIGHTS[:1]))),
        ("schedule: manual", None),
        ("workers: 1", None),
    ],
)
def test_schedule(entry: str, schedule: Every | Cron | None) -> None:
    assert job(entry).schedule == schedule


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ("workers: 64", {"workers": 64}),
        ("workers: '${NOT_SET:-3}'", {"workers": 3}),
        ("revisions: [main, v1.*, v1.*]", {"revisions": ("main", "v1.*")}),
        ("include: ['*.json', onnx/]", {"selection": Selection(include=("*.json", "onnx/"))}),
        ("exclude: ['*.bin']", {"selection": Selection(exclude=("*.bin",))}),
        ("guard: {max_removed: 100%}", {"guard": Guard(1.0)}),
        ("guard: {accept: [621ffdc1, '*']}", {"guard": Guard(accept=frozenset({"621ffdc1", "*"}))}),
        (f"guard: {{accept: [{MOVE}]}}", {"guard": Guard(accept=frozenset({MOVE}))}),
        ("on_gone: withdraw", {"on_gone": OnGone.WITHDRAW}),
        ("retention: {snapshots: 0, days: 7}", {"retention": Retention(0, timedelta(days=7))}),
    ],
)
def test_a_job_says_it_itself_or_takes_it_from_defaults(entry: str, wanted: dict[str, object]) -> None:
    (key, value), plain = next(iter(wanted.items())), Job("one", (), "hub", "disk")
    assert getattr(job(entry), key) == value
    assert getattr(job("", defaults=f"{{{entry}}}"), key) == value
    assert getattr(job(""), key) == getattr(plain, key)


@pytest.mark.parametrize("url", ["./mirror", "s3://models"])
def test_a_target_says_how_young_a_blob_prune_spares(url: str) -> None:
    text = "upstreams: {hub: {kind: huggingface}}\nlicenses: {allow: [mit]}\njobs: [{name: a, repos: [a/b]}]\n"
    (plain,) = settings(f"{text}targets: {{it: {{url: '{url}'}}}}\n").targets.values()
    (longer,) = settings(f"{text}targets: {{it: {{url: '{url}', grace: 7d}}}}\n").targets.values()
    assert (plain.grace, longer.grace) == (timedelta(hours=48), timedelta(days=7))


def test_what_a_job_says_wins_over_defaults() -> None:
    defaults = "{workers: 2, revisions: [v1], include: [a], exclude: [b], schedule: {every: 1h}}"
    found = job("workers: 3, revisions: [v2], include: [c], exclude: [], schedule: manual", defaults=defaults)
    assert (found.workers, found.revisions, found.selection, found.schedule) == (3, ("v2",), Selection(("c",)), None)
    assert job("", defaults=defaults).schedule == Every(timedelta(hours=1))


def test_repos_are_models_datasets_and_globs_each_once() -> None:
    text = f"{REST}jobs: [{{name: one, repos: [gpt2, 'dataset:acme/d', 'acme/*', gpt2]}}]\n"
    assert settings(text).jobs[0].repos == (
        RepoPattern(Kind.MODEL, "gpt2"),
        RepoPattern(Kind.DATASET, "acme/d"),
        RepoPattern(Kind.MODEL, "acme/*"),
    )


SIDES = "upstreams: {a: {kind: huggingface}, b: {kind: huggingface}}\ntargets: {c: {url: c}, d: {url: d}}\n" + LICENSES


def test_upstream_and_target_are_the_jobs_the_defaults_or_the_only_ones() -> None:
    only = settings(REST + JOBS).jobs[0]
    assert (only.upstream, only.target) == ("hub", "disk")
    defaults = "defaults: {upstream: a, target: d}\n"
    text = f"{SIDES}{defaults}jobs: [{{name: x, repos: [o/x]}}, {{name: y, repos: [o/y], upstream: b, target: c}}]\n"
    assert [(found.upstream, found.target) for found in settings(text).jobs] == [("a", "d"), ("b", "c")]


APPROVED = "{repo: 'dataset:o/x', by: Jane, why: ticket 1}"
APPROVAL = Approval(Repo(Kind.DATASET, "o/x"), "Jane", "ticket 1")
COMMON = f"{{allow: [MIT, ' Apache-2.0 '], review: [llama3.1], missing: review, approved: [{APPROVED}]}}"
BOTH = (frozenset({"mit", "apache-2.0"}), frozenset({"llama3.1"}))


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ("", LicensePolicy(*BOTH, Missing.REVIEW, (APPROVAL,))),
        ("licenses: {}", LicensePolicy(*BOTH, Missing.REVIEW, (APPROVAL,))),
        (
            "licenses: {allow: [cc-by-4.0]}",
            LicensePolicy(frozenset({"cc-by-4.0"}), frozenset(), Missing.REVIEW, (APPROVAL,)),
        ),
        ("licenses: {review: [gemma]}", LicensePolicy(frozenset(), frozenset({"gemma"}), Missing.REVIEW, (APPROVAL,))),
        ("licenses: {missing: allow}", LicensePolicy(*BOTH, Missing.ALLOW, (APPROVAL,))),
        ("licenses: {approved: []}", LicensePolicy(*BOTH, Missing.REVIEW, ())),
    ],
)
def test_a_job_with_lists_has_both_its_own_and_inherits_missing_and_approved(own: str, wanted: LicensePolicy) -> None:
    assert job(own, licenses=COMMON).policy == wanted


def test_a_named_licence_of_the_family_other_may_be_allowed() -> None:
    assert job("", licenses="{allow: ['other:My License']}").policy.allow == {"other:my license"}
    assert job("", licenses="{allow: [mit], review: [other, unknown]}").policy.review == {"other", "unknown"}


def test_a_licence_id_that_the_hub_does_not_know_is_a_warning() -> None:
    unknown = "is no licence id that the Hub is known to use"
    text = f"{UPSTREAMS}{TARGETS}licenses: {{allow: [appache-2.0, mit, xyzzy], review: ['other:x', lama3]}}\n{JOBS}"
    assert warnings(text) == [
        f"3:20: licenses.allow[0]: 'appache-2.0' {unknown}; did you mean apache-2.0?",
        f"3:38: licenses.allow[2]: 'xyzzy' {unknown}",
        f"3:66: licenses.review[1]: 'lama3' {unknown}; did you mean llama3?",
    ]


def test_a_job_that_may_mirror_nothing_is_a_warning() -> None:
    assert warnings(UPSTREAMS + TARGETS + JOBS) == [
        "3:8: jobs[0]: no licence is allowed for this job, so all its repos are refused; write licenses: {allow: [...]}"
    ]
    assert warnings(f"{UPSTREAMS}{TARGETS}licenses: {{missing: allow}}\n{JOBS}") == []


def test_two_jobs_that_do_the_same_are_a_warning() -> None:
    jobs = "jobs:\n- {name: a, repos: [o/x, o/y, 'o/*']}\n- {name: b, repos: [o/y, o/z], revisions: [main, v1]}\n"
    shared = "o/y at main (and 1 more) to the target 'disk'"
    assert warnings(REST + jobs) == [f"6:3: jobs[1]: jobs 'a' and 'b' both mirror {shared}; one of them is enough"]

"""A secret reaches the settings, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror_sync.domain.job.targets import S3Target
from mirror_sync.domain.job.upstreams import HubUpstream
from tests.config.texts import JOBS, LICENSES, REST, TARGETS, fault, faults, settings, warnings

SECRET = "hf_Xq7secretZ"
SIDES = """\
upstreams: {{hub: {{kind: huggingface, token: "{token}"}}}}
targets: {{s3: {{url: "s3://bucket", access_key: "{access}", secret_key: "{secret}"}}}}
"""


def test_every_secret_is_known_for_redaction_with_the_variables_in_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_from_file\n", encoding="utf-8")
    text = (
        'upstreams: {a: {kind: huggingface, token: "pre-${T}"}, b: {kind: huggingface, token_file: token}}\n'
        'targets: {s3: {url: "s3://bucket", access_key: "${A}", secret_key: "${NOT_SET:-fallback}"}}\n'
        "defaults: {upstream: a}\n" + LICENSES + JOBS
    )
    found = settings(text, tmp_path, T="hf_1234", A="AKIAIOSFODNN7EXAMPLE")
    assert found.secrets == ("AKIAIOSFODNN7EXAMPLE", "hf_from_file", "pre-hf_1234", "fallback", "hf_1234")


def test_a_short_access_key_is_a_word_of_many_messages_and_stays_readable(tmp_path: Path) -> None:
    target = 'targets: {s3: {url: "s3://bucket", access_key: "${A}", secret_key: "${B}"}}\n'
    text = "upstreams: {a: {kind: huggingface}}\n" + target + LICENSES + JOBS
    assert settings(text, tmp_path, A="admin", B="adminpw").secrets == ("adminpw",)


def test_a_secret_too_short_to_look_for_is_odd_and_never_repeated(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("xyz", encoding="utf-8")
    text = (
        "upstreams: {a: {kind: huggingface, token: q}, b: {kind: huggingface, token_file: token}}\n"
        'targets: {s3: {url: "s3://bucket", access_key: "ad", secret_key: "pw9"}}\n'
        "http: {webhook_secret: '${W:-}'}\ndefaults: {upstream: a}\n" + LICENSES + JOBS
    )
    said = [str(warning) for warning in settings(text, tmp_path).warnings]
    places = ["upstreams.a.token", "upstreams.b.token_file", "targets.s3.secret_key"]
    message = "is so short that messages may show it; a secret has 4 characters or more"
    assert [line.split(": ", 1)[1] for line in said] == [f"{place}: {message}" for place in places]


PLAIN = "is plain http: "
TOKEN_PLAIN = f"{PLAIN}the token can be read on the way; write an https address"
KEYS_PLAIN = f"{PLAIN}what our keys sign can be read and changed on the way; write an https address"
POST_PLAIN = f"{PLAIN}who reads the address on the way can post there, too; write an https address"
WITHOUT = (
    "is asked without the token, which is for the first endpoint's server alone; write {url: https://..., "
    'token: "${NAME}"} to give it one, or token: "" to say that it has none'
)
LOOPBACK = ("http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:9000", "http://localhost", "http://hub.localhost:1")


def oddities(hub: str = "kind: huggingface", bucket: str = "url: s3://bucket", more: str = "") -> list[str]:
    """What is odd, without the place in the file."""
    text = f"upstreams: {{hub: {{{hub}}}}}\ntargets: {{s3: {{{bucket}}}}}\n{more}\n{LICENSES}{JOBS}"
    return [found.partition(": ")[2] for found in warnings(text)]


@pytest.mark.parametrize("url", ["http://hub.example", "http://10.0.0.7:8080", "http://localhost.example"])
def test_a_secret_that_goes_over_plain_http_is_odd(url: str) -> None:
    hub = f"kind: huggingface, endpoints: ['https://a.example', {{url: '{url}', token: hf_abc}}]"
    assert oddities(hub) == [f"upstreams.hub.endpoints[1]: {TOKEN_PLAIN}"]
    assert oddities(f"kind: huggingface, token: hf_abc, endpoints: ['{url}']") == [
        f"upstreams.hub.endpoints[0]: {TOKEN_PLAIN}"
    ]
    assert oddities(bucket=f"url: s3://bucket, endpoint_url: '{url}'") == [f"targets.s3.endpoint_url: {KEYS_PLAIN}"]
    assert oddities(more=f"on: {{failed: [{{post: '{url}/x'}}]}}") == [f"on.failed[0].post: {POST_PLAIN}"]


@pytest.mark.parametrize("url", [*LOOPBACK, "https://hub.example"])
def test_neither_is_one_that_stays_on_the_machine_or_is_sealed(url: str) -> None:
    hub = f"kind: huggingface, token: hf_abc, endpoints: ['{url}']"
    assert oddities(hub, f"url: s3://bucket, endpoint_url: '{url}'", f"on: {{failed: [{{post: '{url}/x'}}]}}") == []


def test_without_a_token_plain_http_is_nothing_odd() -> None:
    assert oddities("kind: huggingface, endpoints: ['http://mirror.example']") == []


def test_an_endpoint_that_is_asked_without_the_token_is_odd_until_its_entry_says_so() -> None:
    begin = "kind: huggingface, token: hf_abc, endpoints: ['https://a.example', 'https://a.example/x', "
    assert oddities(begin + "'https://b.example']") == [f"upstreams.hub.endpoints[2]: {WITHOUT}"]
    assert oddities(begin + "{url: 'https://b.example'}]") == [f"upstreams.hub.endpoints[2]: {WITHOUT}"]
    assert oddities(begin + "{url: 'https://b.example', token: ''}]") == []
    assert oddities(begin + "{url: 'https://b.example', token: hf_other}]") == []


def test_the_token_of_an_endpoint_is_a_secret(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_from_file\n", encoding="utf-8")
    entries = "[{url: 'https://a.example', token: '${T}'}, {url: 'https://b.example', token_file: token}]"
    found = settings(
        f"upstreams: {{a: {{kind: huggingface, endpoints: {entries}}}}}\n{TARGETS}{JOBS}", tmp_path, T=SECRET
    )
    assert found.secrets == (SECRET, "hf_from_file")
    assert not any(secret in repr(found) for secret in found.secrets)


def test_the_secret_of_webhooks_is_a_secret() -> None:
    found = settings(f"http: {{webhook_secret: '${{S}}'}}\n{REST}{JOBS}", S=SECRET)
    assert found.secrets == (SECRET,)
    assert SECRET not in repr(found)


def test_no_repr_shows_a_secret() -> None:
    found = settings(SIDES.format(token=SECRET, access=SECRET, secret=SECRET) + LICENSES + JOBS)
    hub, bucket = found.upstreams["hub"], found.targets["s3"]
    assert isinstance(hub, HubUpstream)
    assert isinstance(bucket, S3Target)
    assert (hub.token, bucket.access_key, bucket.secret_key) == (SECRET, SECRET, SECRET)
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "line",
    [
        "state_dir: ['${S}']",
        "front: {listen: '${S}'}",
        "licenses: {missing: '${S}'}",
        "'${S}': 1",
        "SECRET: 1",
        "targets: {x: {url: 's3://user:SECRET@bucket'}}",
        "targets: {x: {url: '${S}://y'}}",
        "targets: {SECRET: {url: x, regon: y}}",
        "upstreams: {x: {kind: '${S}'}}",
        "upstreams: {x: {kind: huggingface, endpoints: ['https://u:SECRET@x.org']}}",
        "jobs: [{name: '${S} x', repos: ['a/${S}/b'], revisions: ['x ${S}'], target: '${S}', SECRET: 1}]",
        "jobs: [{name: x, repos: ['${S}:a/b'], schedule: {every: '${S}'}}]",
        "jobs: [{name: x, repos: [a/b], schedule: {cron: '${S}', timezone: '${S}'}}]",
        "jobs: SECRET",
    ],
)
def test_no_fault_shows_a_secret_even_one_that_went_astray(line: str) -> None:
    sides = SIDES.format(token="${S}", access="AK${S}", secret=SECRET)
    kept = "".join(part + "\n" for part in sides.splitlines() if part.split(":")[0] != line.split(":", maxsplit=1)[0])
    found = faults(f"{kept}{line.replace('SECRET', SECRET)}\n", S=SECRET)
    assert SECRET not in "\n".join(found)


@pytest.mark.parametrize(
    "entry",
    [
        f"token: [{SECRET}]",
        f"token: {{a: {SECRET}}}",
        f"token: '{SECRET} {SECRET}'",
        f"token: ${SECRET}",
        f"token: '${{{SECRET}'",
        f"tokn: {SECRET}",
        f"token: *{SECRET}",
        f"token: &{SECRET} [",
        f"token: !{SECRET} x",
        f"token: !{SECRET}! x",
        f"token: {SECRET}: x",
        f"token: @{SECRET}",
        f"token: %{SECRET}",
        f'token: "\\q{SECRET}"',
        f"token: {SECRET}\ntoken: {SECRET}2",
        f"- {SECRET}",
        f"{SECRET}",
    ],
)
def test_no_fault_shows_a_secret_that_is_written_wrong(entry: str) -> None:
    block = "\n".join(f"    {line}" for line in entry.splitlines())
    text = f"targets: {{x: {{url: x}}}}\nupstreams:\n  hub:\n    kind: huggingface\n{block}\n{JOBS}"
    assert SECRET not in "\n".join(faults(text))


def test_a_token_file_that_holds_something_else_is_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{SECRET} and more\n", encoding="utf-8")
    text = f"{REST}{JOBS}".replace("kind: huggingface", f"kind: huggingface, token_file: '{file}'")
    more = "the file holds more than a token: a token is one word of plain characters"
    assert fault(text) == f"1:50: upstreams.hub.token_file: {more}; write the path of a file with the token"

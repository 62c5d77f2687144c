"""A secret reaches the settings, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror_sync.config.settings import HubUpstream, S3Target
from tests.config.texts import JOBS, LICENSES, REST, fault, faults, settings

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

"""What --debug shows: where errors arose and what libraries have to say, and nothing that gives access."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from mirror_sync.domain.job.targets import S3Target
from mirror_sync.errors import StoreError
from mirror_sync.observe.redaction import Redaction
from mirror_sync.stores.s3.bucket_store import S3Options, S3Store
from tests.cli.program import CONFIG, Program
from tests.stores.scripted import Answer, Asked, scripted

_LETTER = "Token-That-Asks-For-Keys"
_S3 = CONFIG.replace('{url: "file://FOLDER/mirror"}', "{url: s3://bucket, endpoint_url: ENDPOINT}")


class Role:
    """Answers as a container's credential endpoint, with other keys each time: these always are about to end."""

    def __init__(self) -> None:
        self._numbers = count()
        self.given: list[str] = []

    def __call__(self, asked: Asked) -> Answer:
        if asked.target != "/keys":
            return Answer(404, b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>")
        number = next(self._numbers)
        keys = [f"Name{number:04}OfKey", f"Secret/{number:04}+of=key", f"Session/{number:04}+token="]
        self.given += keys
        end = datetime.now(UTC) + timedelta(minutes=5)
        document = dict(zip(("AccessKeyId", "SecretAccessKey", "Token"), keys, strict=True))
        return Answer(body=json.dumps({**document, "Expiration": end.isoformat()}).encode())


def environment(url: str) -> dict[str, str]:
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/keys",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": _LETTER,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
        "AWS_CONFIG_FILE": "/nowhere",
    }


def test_keys_of_a_role_and_what_they_are_asked_for_with_are_never_shown(program: Program) -> None:
    role = Role()
    with scripted(role) as server:
        program.write(_S3.replace("ENDPOINT", server.endpoint_url))
        ended = program("--debug", "verify", **environment(server.endpoint_url))
    said = ended.out + ended.err
    assert role.given, "the keys were asked for"
    for secret in (*role.given, _LETTER):
        assert secret not in said
    assert "Authorization" not in said
    assert "X-Amz-" not in said


def test_keys_that_are_renewed_are_told_each_time_before_anything_is_signed_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    role, redaction = Role(), Redaction()
    with scripted(role) as server:
        for name, value in environment(server.endpoint_url).items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        store = S3Store(S3Target("bucket", server.endpoint_url), S3Options(learn=redaction.rotate))
        for key in ("one", "two"):
            with suppress(StoreError):
                store.stat(key)
    used = [asked.headers["x-amz-security-token"] for asked in server.asked if asked.target != "/keys"]
    assert len(set(used)) > 1, "they were renewed"
    shown = redaction.text(" ".join([*role.given, _LETTER]))
    assert not [secret for secret in (*used, _LETTER) if secret in shown]

"""The shell that runs the tests may name proxies and certificates: nothing of that reaches a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from huggingface_hub import close_session

_NAMED = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "requests_ca_bundle", "curl_ca_bundle")


def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For a fixture: without any of them, in small letters or large ones, for as long as a test lasts."""
    for name in _NAMED:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    close_session()  # its client has read the environment
    yield
    close_session()

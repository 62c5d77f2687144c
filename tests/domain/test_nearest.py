"""A name that is not known is answered by the one that was meant, and by none where none is near."""

from __future__ import annotations

import pytest

from mirror_sync.domain.nearest import did_you_mean
from mirror_sync.domain.repo import RepoPattern

KNOWN = [RepoPattern.parse(name) for name in ("dataset:acme/wiki", "acme/Llama-7b", "acme/Llama-13b", "gpt2", "bb/*")]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("acme/wiki", "; did you mean dataset:acme/wiki?"),
        ("acme/llama-7b", "; did you mean acme/Llama-7b?"),
        ("acme/Lama-7b", "; did you mean acme/Llama-7b or acme/Llama-13b?"),
        ("wiki", "; did you mean dataset:acme/wiki?"),
        ("dataset:gpt2", "; did you mean gpt2?"),
        ("acme/Llama-7b", ""),
        ("nobody/else", ""),
    ],
)
def test_kind_and_letters_are_forgiven(wanted: str, said: str) -> None:
    assert did_you_mean(RepoPattern.parse(wanted), KNOWN if said else KNOWN[:1]) == said

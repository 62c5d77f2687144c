"""The metadata at the top of a README.md: YAML between two lines of `---`.

Source: https://huggingface.co/docs/hub/model-cards.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from mirror_sync.sources.plain import check_plain

_LIMIT = 1024 * 1024  # bytes of a README that are looked at
_FENCE = "---"
# The parser's own slips, too: `1:1:...:1.0` overflows, `!!int ""` has no first digit, `!!bool x` is no key of a table.
_UNREADABLE = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def read_card(readme: Path) -> dict[str, Any]:
    """The metadata as plain JSON values; empty when there is none that can be read. OSError."""
    with readme.open("rb") as stream:
        text = stream.read(_LIMIT).decode(errors="replace")
    lines = text.lstrip("\ufeff").splitlines()
    if not lines or lines[0].strip() != _FENCE:
        return {}
    end = next((number for number, line in enumerate(lines[1:], 1) if line.strip() == _FENCE), None)
    return {} if end is None else _parsed("\n".join(lines[1:end]))


def _parsed(front: str) -> dict[str, Any]:
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(front)):
            return {}  # a few lines of aliases of aliases would fill the memory
        # through JSON, so that dates and other YAML values cannot surprise whoever writes the card down again
        card = json.loads(json.dumps(yaml.safe_load(front), default=str, allow_nan=False))
        check_plain(card)
    except _UNREADABLE:
        return {}  # no licence is known then, which the policy judges
    return card if isinstance(card, dict) else {}

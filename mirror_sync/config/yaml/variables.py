"""`${NAME}` and `${NAME:-default}` in the text values of a document; `$$` stands for a literal `$`.

This happens after the YAML is read: whatever a variable holds is text, never YAML. Keys are left as they are. At the
end what can be read of a file for who goes on with that: a shell that completes, and checks of a broken file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirror_sync.config.findings import Findings, Trail

_USUAL_STATE = "./var/state"  # as config/keys/model.py has it, which is too much for a shell that waits
_SECRET = re.compile(r"TOKEN|SECRET|KEY|PASSWORD", re.IGNORECASE)
_DOLLAR = re.compile(r"\$(?:(?P<literal>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})?")


@dataclass
class Expansion:
    """One pass over a document. `used` holds, by trail, the values that variables gave to it."""

    environ: Mapping[str, str]
    faults: Findings = field(default_factory=Findings)
    used: dict[Trail, tuple[str, ...]] = field(default_factory=dict)

    def expand(self, value: object, trail: Trail = ()) -> object:
        """The same value with its variables put in; what cannot be is a fault, and stays as it was written."""
        match value:
            case dict():
                return {key: self.expand(child, (*trail, key)) for key, child in value.items()}
            case list():
                return [self.expand(child, (*trail, index)) for index, child in enumerate(value)]
            case str() if "$" in value:
                return self._text(value, trail)
        return value

    def _text(self, text: str, trail: Trail) -> str:
        try:
            return _DOLLAR.sub(lambda match: self._one(match, trail), text)
        except ValueError as error:
            self.faults.add(trail, str(error))
            return text

    def _one(self, match: re.Match[str], trail: Trail) -> str:
        if match["literal"]:
            return "$"
        name, default = match["name"], match["default"]
        if name is None:
            raise ValueError("a $ that begins no variable; write ${NAME} or ${NAME:-default}, and $$ for a literal $")
        value = self.environ.get(name)
        if not value and default is not None:
            return str(default)
        if value is None:
            raise ValueError(f"the variable {name} is not set; {_remedy(name)}")
        if not value.isprintable():
            raise ValueError(f"the variable {name} holds control characters or is not UTF-8; set it to plain text")
        self.used[trail] = (*self.used.get(trail, ()), value)
        return value


def _remedy(name: str) -> str:
    """No default is right for a secret but an empty one, which stands for none."""
    if _SECRET.search(name):
        return f"export it, or write it into the file that the unit reads; ${{{name}:-}} does without"
    return f"set it, or write ${{{name}:-default}}"


def written(path: Path) -> dict[str, Any]:
    """Its mapping as it is written, without the values of variables; empty for what is none."""
    import yaml

    try:
        found = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def with_variables(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The same with those put in that are set."""
    found = Expansion(os.environ).expand(dict(tree))
    return found if isinstance(found, dict) else {}


def state_dir_in(tree: Mapping[str, Any], path: Path) -> Path:
    """Where a file with this in it keeps its state, by the folder that it lies in. `tree` is `with_variables`."""
    return path.absolute().parent / str(tree.get("state_dir") or _USUAL_STATE)

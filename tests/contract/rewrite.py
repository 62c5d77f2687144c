"""Writes golden files anew: `python -m tests.contract.rewrite [NAME ...]`, all of them without a name.

For a change that is meant, and that CHANGELOG.md names.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.contract.golden import FOLDER, path_of, text_of
from tests.contract.surfaces import SURFACES
from tests.contract.world import small_world


def main(names: list[str]) -> int:
    """The exit code: 2 for a name that is none."""
    unknown = [name for name in names if name not in SURFACES]
    if unknown:
        sys.stderr.write(f"no surface {', '.join(unknown)}; there are {', '.join(SURFACES)}\n")
        return 2
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder, small_world(Path(folder)) as world:
        for name in names or SURFACES:
            path, text = path_of(name), text_of(SURFACES[name].make(world))
            changed = not path.exists() or path.read_text(encoding="utf-8") != text
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{name}: {'written anew: name it in CHANGELOG.md' if changed else 'as it was'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The program, whose module of the name in $AT takes for ever to be imported; it says on stdout when it is at that."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from types import ModuleType


class Slow:
    """Finds no module, and takes its time for that one."""

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None) -> None:
        if name == os.environ["AT"]:
            sys.stdout.write("importing\n")
            sys.stdout.flush()
            time.sleep(60)


if __name__ == "__main__":
    from mirror_sync.cli import main

    sys.meta_path.insert(0, Slow())
    main()

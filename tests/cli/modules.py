"""The program, which writes into the file of the name in $MODULES, when it ends, all modules that it has imported."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path


def _write() -> None:
    Path(os.environ["MODULES"]).write_text("\n".join(sorted(sys.modules)), encoding="utf-8")


if __name__ == "__main__":
    atexit.register(_write)
    from mirror_sync.cli import main

    main()

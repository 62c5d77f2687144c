"""The program, but for a prune that does not wait for calls of other machines to take effect: there are none."""

from __future__ import annotations

import mirror_sync.engine.site
from mirror_sync.cli import main

if __name__ == "__main__":
    mirror_sync.engine.site._SETTLE = 0.0
    main()

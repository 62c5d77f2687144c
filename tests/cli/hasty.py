"""The program, but for a prune that does not wait for calls of other machines to take effect: there are none.

An object came when its file was written last, so that a test may set when: the kernel alone sets `st_ctime`.
"""

from __future__ import annotations

import mirror_sync.engine.context
import mirror_sync.stores.directory.directory_store
from mirror_sync.cli import main

if __name__ == "__main__":
    mirror_sync.engine.context._PROPAGATION = 0.0
    mirror_sync.stores.directory.directory_store._arrived = lambda found: found.st_mtime
    main()

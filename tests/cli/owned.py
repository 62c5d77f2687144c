"""The program once all of it is imported, as another user where AS says so: that one may not look into our checkout."""

from __future__ import annotations

import codecs
import os
import pkgutil
from importlib import import_module

import mirror_sync
from mirror_sync.cli import main

if __name__ == "__main__":
    for module in pkgutil.walk_packages(mirror_sync.__path__, "mirror_sync."):
        if not module.name.startswith("mirror_sync.cluster") and not module.name.endswith("__main__"):
            import_module(module.name)
    import_module("colorsys")  # by which the program tells whether it can be read
    for encoding in ("utf-8-sig", "idna", "ascii", "latin-1"):
        codecs.lookup(encoding)
    if "AS" in os.environ:
        user = int(os.environ["AS"])
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    main()

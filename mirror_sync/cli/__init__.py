"""The command line: arguments in, text or one JSON document out, an exit code at the end.

Nothing here decides what is mirrored. What is slow to import is imported by the command that needs it.
"""

from mirror_sync.cli.exits import main

__all__ = ["main"]

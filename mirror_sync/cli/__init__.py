"""The command line: arguments in, text or one JSON document out, an exit code at the end.

Nothing here decides what is mirrored. What is slow to import is imported by the command that needs it.
"""

from __future__ import annotations

import os
import signal
from types import FrameType


def main() -> None:
    """Run the program; ends with SystemExit."""
    signal.signal(signal.SIGINT, _stopped)
    from mirror_sync.cli import exits  # a good part of a second, in which Ctrl-C is no fault either
    from mirror_sync.cli.app import app

    exits.main(app)


def _stopped(_signal: int, _frame: FrameType | None) -> None:
    """Until somebody takes Ctrl-C over who can stop in order: an exception may come in the midst of an import, where
    Python prints it and goes on, or keeps a lock for ever.
    """
    os.write(2, b"mirror-sync: stopped\n")
    os._exit(1)

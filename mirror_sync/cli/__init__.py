"""The command line: arguments in, text or one JSON document out, an exit code at the end.

Nothing here decides what is mirrored. What is slow to import is imported by the command that needs it, and a command by
whoever asks for it.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from types import FrameType

from mirror_sync import __version__


def main() -> None:
    """Run the program; ends with SystemExit."""
    signal.signal(signal.SIGINT, _stopped)
    # Values of many files live long and hold no cycles, and neither do modules: Python's first thresholds look for some
    # after each 700 of them, a tenth of the CPU of a start, and of a run over small files.
    gc.set_threshold(10_000, 20, 50)
    # Nor is it worth a fifth of a short run to look through all there is once more, and again, when it ends.
    atexit.register(gc.freeze)
    if sys.argv[1:] == ["--version"]:  # needs none of what reads arguments
        sys.exit(_print_version())
    # Plugins of others have no say in what jobs.yaml means, and to look for them pydantic reads the metadata of every
    # package that is installed.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    from mirror_sync.cli import exits  # takes its time, in which Ctrl-C is no fault either
    from mirror_sync.cli.app import app

    exits.main(app)


def _print_version() -> int:
    try:
        os.write(1, f"mirror-sync {__version__}\n".encode())
    except OSError:  # its reader has gone
        return 1
    return 0


def _stopped(_signal: int, _frame: FrameType | None) -> None:
    """Until somebody takes Ctrl-C over who can stop in order: an exception may come in the midst of an import, where
    Python prints it and goes on, or keeps a lock for ever.
    """
    os.write(2, b"mirror-sync: stopped\n")
    os._exit(1)

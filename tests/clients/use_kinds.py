"""``HF_ENDPOINT=URL HF_HOME=DIR python use_kinds.py``: a kernel, a metric of a space, and what of both is downloaded.

It stands alone: the environment has nothing of ours. Its last line is JSON: what each client found.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    import evaluate
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from kernels import get_kernel

    api = HfApi()
    found: dict[str, object] = {
        "kernel": get_kernel("acme/twice", version=1, backend="cpu").twice(21),
        "metric": evaluate.load("acme/exact").compute(predictions=[1, 2, 3, 4], references=[1, 2, 3, 5])["exact"],
        "space": sorted(path.name for path in Path(snapshot_download("acme/exact", repo_type="space")).iterdir()),
        "file": Path(hf_hub_download("acme/twice", "README.md", repo_type="kernel")).read_text()[:3],
        "at head": api.repo_info("acme/twice", repo_type="kernel").sha
        == api.kernel_info("acme/twice", revision="v1").sha,
        "spaces": [one.id for one in api.list_spaces(author="acme")],
    }
    try:
        get_kernel("others/twice", version=1, backend="cpu")
    except ValueError as error:
        found["stranger"] = str(error).split(". ")[0]
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

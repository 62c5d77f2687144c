"""``HF_ENDPOINT=URL HF_HOME=DIR python use_kinds.py``: a kernel, a metric of a space, and what of both is downloaded.

It stands alone: the environment has nothing of ours. Each line it prints is what a client found.
"""

from __future__ import annotations

from pathlib import Path

import evaluate
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from kernels import get_kernel

print(get_kernel("acme/twice", version=1, backend="cpu").twice(21))
print(evaluate.load("acme/exact").compute(predictions=[1, 2, 3, 4], references=[1, 2, 3, 5])["exact"])
folder = Path(snapshot_download("acme/exact", repo_type="space"))
print(*sorted(path.name for path in folder.iterdir()))
print(Path(hf_hub_download("acme/twice", "README.md", repo_type="kernel")).read_text()[:3])
print(
    HfApi().repo_info("acme/twice", repo_type="kernel").sha
    == HfApi().list_repo_refs("acme/twice", repo_type="kernel").branches[0].target_commit
)
print(*(one.id for one in HfApi().list_spaces(author="acme")))
try:
    get_kernel("others/twice", version=1, backend="cpu")
except ValueError as error:
    print(str(error).split(". ")[0])

"""What a client reads of one repo under each revision that is named: a JSON line each.

Runs in its own environment, with nothing of the program.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, snapshot_download

REPO, *REVISIONS = sys.argv[1:]
API = HfApi()
refs = API.list_repo_refs(REPO)
names = {ref.name: ref.target_commit for ref in (*refs.branches, *refs.tags)}
sys.stdout.write(json.dumps({"asked": "refs", "said": names}) + "\n")
for revision in REVISIONS:
    folder = Path(snapshot_download(REPO, revision=revision))
    said = {
        "files": {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()},
        "one": Path(hf_hub_download(REPO, "weights", revision=revision)).read_text(encoding="utf-8"),
        "listed": sorted(API.list_repo_files(REPO, revision=revision)),
        "info": API.model_info(REPO, revision=revision).sha,
        "commits": [commit.commit_id for commit in API.list_repo_commits(REPO, revision=revision)],
        "folder": folder.name,
    }
    sys.stdout.write(json.dumps({"asked": revision, "said": said}) + "\n")

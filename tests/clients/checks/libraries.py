"""What people really call: transformers, datasets, pandas."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.clients.checks.registry import operation, same
from tests.clients.truth import Truth

OFFLINE = """
import sys
from transformers import AutoTokenizer
print(len(AutoTokenizer.from_pretrained(sys.argv[1], cache_dir=sys.argv[2])))
"""
TEXT = "Every byte is proved."
CONFIGURATIONS = ("all", "again")


@operation("transformers: AutoConfig.from_pretrained")
def auto_config(truth: Truth, scratch: Path) -> None:
    from transformers import AutoConfig

    same(AutoConfig.from_pretrained(truth.model.id, cache_dir=scratch).hidden_size, 384, "hidden size")
    at_tag = AutoConfig.from_pretrained(truth.model.id, revision=truth.tagged.revision, cache_dir=scratch)
    same(at_tag.num_hidden_layers, 6, "layers")


@operation("transformers: AutoTokenizer.from_pretrained")
def auto_tokenizer(truth: Truth, scratch: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(truth.model.id, cache_dir=scratch)
    numbers = tokenizer(TEXT)["input_ids"]
    same(tokenizer.decode(numbers, skip_special_tokens=True), TEXT.lower(), "text")


@operation("transformers: a cached tokenizer works offline")
def offline_tokenizer(truth: Truth, scratch: Path) -> None:
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(truth.model.id, cache_dir=scratch)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    command = [sys.executable, "-c", OFFLINE, truth.model.id, str(scratch)]
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert outcome.returncode == 0, outcome.stderr[-600:]
    same(outcome.stdout.strip(), "30522", "words")


@operation("datasets: load_dataset")
def load(truth: Truth, scratch: Path) -> None:
    from datasets import load_dataset

    for name in CONFIGURATIONS:
        table = load_dataset(truth.dataset.id, name, split="train", cache_dir=str(scratch))
        same(_rows(table), list(truth.rows), name)


@operation("datasets: load_dataset, streaming")
def stream(truth: Truth, scratch: Path) -> None:
    from datasets import load_dataset

    for name in CONFIGURATIONS:
        table = load_dataset(truth.dataset.id, name, split="train", streaming=True, cache_dir=str(scratch))
        same(_rows(table), list(truth.rows), name)


@operation("datasets: csv, jsonl and parquet by data_files")
def data_files(truth: Truth, scratch: Path) -> None:
    from datasets import load_dataset

    for pattern in ("csv/train.csv", "jsonl/*.jsonl", "parquet/**"):
        words = {"data_files": pattern, "cache_dir": str(scratch), "split": "train"}
        same(_rows(load_dataset(truth.dataset.id, **words)), list(truth.rows), pattern)
        streamed = load_dataset(truth.dataset.id, streaming=True, **words)
        same(_rows(streamed), list(truth.rows), f"{pattern}, streaming")


@operation("datasets: a pinned revision, and an hf:// address")
def pinned(truth: Truth, scratch: Path) -> None:
    from datasets import load_dataset

    repo, words = truth.dataset, {"cache_dir": str(scratch), "split": "train"}
    same(_rows(load_dataset(repo.id, "all", revision=repo.commit, **words)), list(truth.rows), "revision")
    address = f"hf://datasets/{repo.id}@{repo.commit}/jsonl/train.jsonl"
    same(_rows(load_dataset("json", data_files=address, **words)), list(truth.rows), "address")


@operation("pandas: hf:// paths")
def pandas_paths(truth: Truth, _: Path) -> None:
    pandas = import_module("pandas")  # not a dependency of the tests' own environment, so unknown to mypy
    root = f"hf://datasets/{truth.dataset.id}"
    same(pandas.read_csv(f"{root}/csv/train.csv").to_dict("records"), list(truth.rows), "csv")
    same(pandas.read_parquet(f"{root}/parquet/train.parquet").to_dict("records"), list(truth.rows), "parquet")


def _rows(table: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in table]

"""``HF_ENDPOINT=URL HF_HOME=DIR python use.py NAME``: one client reads the mirror as its users do; 0 when it could.

It stands alone: the environment has nothing of ours. The last line it prints is what it read.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

URL = os.environ.get("HF_ENDPOINT", "")


def hub_file() -> str:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download("acme/bert", "README.md")).read_text()[:20]


def hub_snapshot() -> str:
    from huggingface_hub import snapshot_download

    found = sorted(path.name for path in Path(snapshot_download("acme/bert")).iterdir())
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(found), found
    return f"{hub_file()} {len(found)} files"


def hub_lists() -> str:
    from huggingface_hub import HfApi

    api = HfApi()
    mine = sorted(one.id for one in api.list_models(author="acme"))
    assert "acme/bert" in mine, mine
    found = [one.id for one in api.list_models(search="diffus")]
    assert found == ["acme/diffusion"], found
    assert [one.id for one in api.list_datasets(author="acme")], "no datasets"
    return f"{hub_snapshot()}; {len(mine)} models listed"


def tokenizers() -> str:
    from tokenizers import Tokenizer

    return str(Tokenizer.from_pretrained("acme/bert").encode("a tiny model").ids)


def fast_tokenizer() -> str:
    from transformers import AutoConfig, PreTrainedTokenizerFast  # what transformers 5 saves names a class that 4 lacks

    assert AutoConfig.from_pretrained("acme/bert").hidden_size == 16
    return str(PreTrainedTokenizerFast.from_pretrained("acme/bert")("a tiny model")["input_ids"])


def auto_model() -> str:
    from transformers import AutoModel, AutoTokenizer

    words = AutoTokenizer.from_pretrained("acme/bert")("a tiny model", return_tensors="pt")
    words.pop("token_type_ids", None)
    return str(tuple(AutoModel.from_pretrained("acme/bert")(**words).last_hidden_state.shape))


def sentence_transformers() -> str:
    from sentence_transformers import SentenceTransformer

    return str(SentenceTransformer("acme/sentences", device="cpu").encode("a tiny model").shape)


def diffusers() -> str:
    from diffusers import DDPMPipeline

    pipeline = DDPMPipeline.from_pretrained("acme/diffusion")
    return str(pipeline(num_inference_steps=1, output_type="np").images.shape)


def peft() -> str:
    from peft import PeftModel
    from transformers import AutoModel

    model = PeftModel.from_pretrained(AutoModel.from_pretrained("acme/bert"), "acme/adapter")
    return str(sorted(model.peft_config))


def timm() -> str:
    import torch
    from make import import_timm

    model = import_timm().create_model("hf-hub:acme/images", pretrained=True)
    return str(tuple(model(torch.zeros(1, 3, 64, 64)).shape))


def datasets() -> str:
    import datasets

    whole = datasets.load_dataset("acme/rows", data_files="data/train.parquet", split="train")
    streamed = list(datasets.load_dataset("acme/rows", data_files="rows.csv", split="train", streaming=True))
    assert whole[2]["text"] == streamed[2]["text"] == "三"
    return f"{whole.num_rows} rows, {len(streamed)} streamed"


def fastembed() -> str:
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    TextEmbedding.add_custom_model(
        model="acme/onnx", pooling=PoolingType.MEAN, normalization=False, sources=ModelSource(hf="acme/onnx"), dim=3,
        model_file="model.onnx",
    )  # fmt: skip
    (found,) = TextEmbedding("acme/onnx", cache_dir=tempfile.mkdtemp()).embed(["a tiny model"])
    return str([round(float(one), 2) for one in found])


def faster_whisper() -> str:
    from faster_whisper import WhisperModel

    return str(WhisperModel("acme/whisper", device="cpu").model.num_languages)


def opendal() -> str:
    import opendal

    found = opendal.Operator("hf", repo_type="dataset", repo_id="acme/rows", revision="main")
    assert "data/train.parquet" in {entry.path for entry in found.list("data/")}
    return found.read("rows.csv").decode().splitlines()[0]


def lance() -> str:
    import lance

    return str(lance.dataset("hf://datasets/acme/lances/rows.lance").to_table().num_rows)


def webdataset() -> str:
    import webdataset

    found = webdataset.WebDataset(f"{URL}/datasets/acme/rows/resolve/main/shard-000.tar", shardshuffle=False)
    return str([sample["txt"].decode() for sample in found])


def pandas() -> str:
    import pandas

    return str(len(pandas.read_parquet("hf://datasets/acme/rows/data/train.parquet")))


def pyarrow() -> str:
    from huggingface_hub import HfFileSystem
    from pyarrow import parquet

    return str(parquet.read_table("datasets/acme/rows/data/train.parquet", filesystem=HfFileSystem()).num_rows)


def polars() -> str:
    import polars

    frame = polars.read_parquet(f"{URL}/datasets/acme/rows/resolve/main/data/train.parquet")
    scanned = polars.scan_csv(f"{URL}/datasets/acme/rows/resolve/main/rows.csv").collect()
    assert frame.height == scanned.height
    return str(frame.height)


def duckdb() -> str:
    import duckdb
    from huggingface_hub import HfFileSystem

    duckdb.register_filesystem(HfFileSystem())
    return str(duckdb.sql("select count(*) from 'hf://datasets/acme/rows/data/*.parquet'").fetchall())


def gguf() -> str:
    from gguf.utility import SafetensorRemote

    SafetensorRemote.BASE_DOMAIN = URL
    return f"{len(SafetensorRemote.get_list_tensors_hf_model('acme/bert'))} tensors"


USES: dict[str, Any] = {
    name: one for name, one in globals().items() if callable(one) and name[0] in "abcdefghijklmnopqrstuvwxyz"
}


if __name__ == "__main__":
    sys.stdout.write(f"{USES[sys.argv[1]]()}\n")

"""``python make.py OUT NAME...``: makes tiny repos below OUT, by the libraries of the environment that runs this.

It stands alone: the environment has nothing of ours.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

WORDS = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "a", "tiny", "model", "of", "words"]
CARD = "---\nlicense: mit\n---\n# Made for a test\n"


def bert(folder: Path) -> None:
    """A BERT of random weights, with its tokenizer."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, **size)).save_pretrained(folder)
    _tokenizer(folder)


def words(folder: Path) -> None:
    """That tokenizer, and weights that are none: for who loads no model."""
    _tokenizer(folder)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "model.safetensors").write_bytes(bytes(1000))


def _tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=inner, mask_token="[MASK]", **special).save_pretrained(folder)


def sentences(folder: Path) -> None:
    """A sentence-transformers model over that BERT."""
    from sentence_transformers import SentenceTransformer, models

    inner = models.Transformer(str(folder.parent / "bert"))
    pooling = models.Pooling(16)
    SentenceTransformer(modules=[inner, pooling], device="cpu").save(str(folder))


def diffusion(folder: Path) -> None:
    """A pipeline of a random UNet and a scheduler."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    unet = UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    DDPMPipeline(unet, DDPMScheduler(num_train_timesteps=4)).save_pretrained(folder)


def adapter(folder: Path) -> None:
    """A LoRA adapter of that BERT, which is named as its base."""
    from peft import LoraConfig, get_peft_model
    from transformers import BertModel

    base = BertModel.from_pretrained(folder.parent / "bert")
    made = get_peft_model(base, LoraConfig(r=2, target_modules=["query"]))
    made.save_pretrained(folder)
    config = folder / "adapter_config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps(facts | {"base_model_name_or_path": "acme/bert"}))


def images(folder: Path) -> None:
    """timm's smallest test network, as timm saves it for a hub."""
    timm = import_timm()
    timm.models.save_for_hf(timm.create_model("test_resnet", num_classes=2), str(folder), safe_serialization="both")


def import_timm() -> Any:
    """Import timm where torchvision's compiled operators cannot be loaded.

    Beside a torch without CUDA, torchvision 0.28.0 stops at its import at two operators that nobody here calls.
    """
    import torch

    known = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        known.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import timm

    return timm


def whisper(folder: Path) -> None:
    """A Whisper of random weights in the format of CTranslate2."""
    import ctranslate2
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast, WhisperConfig, WhisperForConditionalGeneration

    kept = folder.parent.parent / "whisper-source"
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>", "<|nospeech|>"]
    special += ["<|startoflm|>", "<|startofprev|>", "<|translate|>"]
    words = {word: at for at, word in enumerate([*special, *WORDS])}
    inner = Tokenizer(models.WordLevel(words, unk_token="<|endoftext|>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, additional_special_tokens=special, eos_token=special[0])
    tokenizer.save_pretrained(kept)
    layers = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = WhisperConfig(
        vocab_size=len(words), d_model=16, encoder_ffn_dim=16, decoder_ffn_dim=16, pad_token_id=0, bos_token_id=0,
        eos_token_id=0, decoder_start_token_id=1, suppress_tokens=[], begin_suppress_tokens=[], **layers,
    )  # fmt: skip
    made = WhisperForConditionalGeneration(config)
    made.generation_config.alignment_heads = [[0, 0]]
    made.save_pretrained(kept)
    ctranslate2.converters.TransformersConverter(str(kept), copy_files=["tokenizer.json"]).convert(
        str(folder), force=True
    )


def onnx(folder: Path) -> None:
    """An ONNX model that gives each word the same three numbers, with the BERT's tokenizer."""
    from onnx import TensorProto, helper, save_model

    folder.mkdir(parents=True)
    ids, mask = (
        helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "n"]) for name in ("input_ids", "attention_mask")
    )
    out = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["b", "n", 3])
    ones = helper.make_tensor("ones", TensorProto.FLOAT, [1, 3], [1.0, 2.0, 3.0])
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [2])
    nodes = [
        helper.make_node("Cast", ["attention_mask"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["floats", "axes"], ["column"]),
        helper.make_node("MatMul", ["column", "ones"], ["last_hidden_state"]),
    ]
    graph = helper.make_graph(nodes, "tiny", [ids, mask], [out], [ones, axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    save_model(model, str(folder / "model.onnx"))
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json", "special_tokens_map.json"):
        source = folder.parent / "bert" / name
        if source.exists():
            (folder / name).write_bytes(source.read_bytes())
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": 32}))


def rows(folder: Path) -> None:
    """A dataset: Parquet, CSV and a tar for webdataset."""
    import io
    import tarfile

    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    table = pyarrow.table({"number": range(5), "text": ["one", "zwei", "三", "naïve", 'a "quote"']})
    (folder / "data").mkdir(parents=True)
    pyarrow.parquet.write_table(table, folder / "data" / "train.parquet")
    pyarrow.csv.write_csv(table, folder / "rows.csv")
    with tarfile.open(folder / "shard-000.tar", "w") as tar:
        for number in range(3):
            body = b"%d" % number
            entry = tarfile.TarInfo(f"{number:03}.txt")
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))


def lances(folder: Path) -> None:
    """A dataset in Lance's format."""
    import lance
    import pyarrow

    lance.write_dataset(pyarrow.table({"number": [0, 1, 2], "text": ["a", "b", "c"]}), str(folder / "rows.lance"))


def quants(folder: Path) -> None:
    """GGUF files in the usual naming: only their names and one number differ."""
    import numpy
    from gguf import GGUFWriter

    folder.mkdir(parents=True)
    for name in ("Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q8_0", "BF16"):
        writer = GGUFWriter(folder / f"tiny-{name}.gguf", "llama")
        writer.add_block_count(1)
        writer.add_tensor("weight", numpy.full((4, 4), len(name), dtype=numpy.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


MAKERS: dict[str, Any] = {
    one.__name__: one
    for one in (bert, words, sentences, diffusion, adapter, images, whisper, onnx, rows, lances, quants)
}


def main() -> None:
    """Make what is named, each with a card."""
    out = Path(sys.argv[1])
    for name in sys.argv[2:]:
        folder = out / name
        MAKERS[name](folder)
        (folder / "README.md").write_text(CARD)


if __name__ == "__main__":
    main()

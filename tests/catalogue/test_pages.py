"""What every page keeps to, whatever an upstream calls its things."""

from __future__ import annotations

import ast
import json
import posixpath
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mirror_sync.catalogue import pages
from mirror_sync.catalogue.download_commands import check_by_hand, commands
from mirror_sync.catalogue.texts import TEXTS
from mirror_sync.domain.catalogue.page_data import place_of
from mirror_sync.domain.catalogue.rows import (
    Day,
    JobEntryView,
    Lack,
    LackGroup,
    Lag,
    ListPage,
    Overview,
    RepoPage,
    RepoRow,
    ShownFile,
    ShownJob,
    ShownVerdict,
)
from mirror_sync.domain.repo import Kind
from tests.catalogue import examples
from tests.catalogue.markup import Page, read

BAD = ('"><script>alert(1)</script>', "'; rm -rf / #", "</pre><img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "&lt;b&gt;")
SPOKEN = st.one_of(
    st.sampled_from(BAD), st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=40)
)


@pytest.fixture(scope="module")
def site() -> Mapping[str, bytes]:
    return examples.site(600)


def repo_page(words: str) -> bytes:
    """A page in which all that an upstream or an operator chooses says this."""
    row = replace(examples.row(8), licenses=(words, words), task=words, library=words)
    page = examples.repo_page(row, files=2)
    return pages.repo_page(
        replace(
            page,
            verdict=words,
            gone=words,
            asked=(JobEntryView(words, words, "held", words),),
            verdicts=(ShownVerdict(words, words, words),),
            snapshots=tuple(replace(one, names=("main", words), title=words) for one in page.snapshots),
            files=tuple(ShownFile(f"{folder}{words.replace('/', '_')}.bin", 1, "a" * 64) for folder in ("", "folder/")),
        ),
        url=words,
        brand=words,
        principal=words,
    )


def mirror_page(words: str) -> bytes:
    whole = examples.overview((), days=3)
    job = ShownJob(words, words, 1, 1, None, None, words, None)
    lack = Lack(Kind.MODEL, f"*{words}", words, words, "held", words, words)
    group = LackGroup("held", words, 1, (lack,))
    return pages.mirror_page(replace(whole, name=words, url=words, version=words, jobs=(job,), lacking=(group,)))


def home(words: str) -> bytes:
    return pages.home(*_hostile(words))


def list_page(words: str) -> bytes:
    [page] = _hostile(words)[1]
    return pages.list_page(page, page, page, words)


def _hostile(words: str) -> tuple[Overview, list[ListPage]]:
    row = replace(examples.row(8), licenses=(words,), task=words, state=words)
    [page] = examples.listed(1)
    whole = replace(examples.overview((row,)), name=words, url=words, version=words, recent=(row,))
    return whole, [replace(page, first=words, last=words, rows=(row,))]


EVERY = pytest.mark.parametrize("made", [repo_page, mirror_page, home, list_page])


@EVERY
@settings(max_examples=40, deadline=None)
@given(words=SPOKEN)
def test_no_words_change_what_a_page_consists_of(made: Callable[[str], bytes], words: str) -> None:
    assume(not any(key.endswith(f".{words}") for key in TEXTS))  # what we have words for is told by them
    page = read(made(words))
    assert page.tags == read(made("plain")).tags
    assert words in page.text


@EVERY
def test_half_a_character_is_no_reason_to_publish_nothing(made: Callable[[str], bytes]) -> None:
    assert "a?b" in read(made("a\ud800b")).text


def test_equal_values_are_equal_bytes(site: Mapping[str, bytes]) -> None:
    assert examples.site(600) == site


def test_no_page_holds_a_script_or_a_style_of_its_own(site: Mapping[str, bytes]) -> None:
    for key, page in pages_of(site):
        assert page.scripts == [], key
        assert not [name for _, name, _ in page.attributes if name == "style" or name.startswith("on")], key
        assert not {("style",), ("form",), ("base",)} & {tag[:1] for tag in page.tags}, key


def test_every_link_is_relative_and_those_within_the_catalogue_lead_somewhere(site: Mapping[str, bytes]) -> None:
    described = [key for key in site if key.startswith(("site/models/", "site/datasets/"))]
    for key, page in pages_of(site):
        for link in page.links:
            parts = urlsplit(link)
            if link == "https://example.org/paper":  # of the card
                continue
            if parts.scheme:
                assert link.startswith("https://huggingface.co/"), key
                continue
            assert not link.startswith("/"), key
            leads = (
                posixpath.normpath(posixpath.join(posixpath.dirname(key), unquote(parts.path))) if parts.path else key
            )
            if leads.startswith(("site/models/", "site/datasets/")):
                assert leads.count("/") == 2  # only some have a page in this example
            elif leads.startswith("site/trust/"):
                assert re.fullmatch(r"site/trust/(models|datasets)/[\w/-]+/[0-9a-f]{40}/verdicts.json", leads), link
            elif leads.startswith("site/"):
                assert leads in site or leads == "site/status.json" or place_of(leads[5:]), f"{key} links to {link}"
            else:
                assert re.match(r"(datasets/)?[\w-]+/[\w-]+/resolve/|api/(models|datasets)/", leads), link
    assert described


def pages_of(site: Mapping[str, bytes]) -> list[tuple[str, Page]]:
    return [(key, read(content)) for key, content in site.items() if key.endswith(".html")]


def test_a_file_is_where_the_front_serves_it() -> None:
    page = replace(shown(), files=(ShownFile("a b/ü#1?.bin", 5, examples.digest("x")),))
    links = read(pages.repo_page(page)).links
    assert f"../../{page.row.repo}/resolve/{page.shown_commit}/a%20b/%C3%BC%231%3F.bin" in links
    dataset = replace(page, row=replace(page.row, kind=Kind.DATASET))
    assert any(
        link.startswith(f"../../datasets/{page.row.repo}/resolve/") for link in read(pages.repo_page(dataset)).links
    )


def test_where_files_are_left_out_their_number_and_the_whole_listing_are_told() -> None:
    page = shown()
    told = read(pages.repo_page(replace(page, row=replace(page.row, files=54_321))))
    assert "54,321" in told.text
    assert f"../../api/models/{page.row.repo}/tree/{page.shown_commit}?recursive=true" in told.links
    assert "recursive=true" not in pages.repo_page(replace(page, row=replace(page.row, files=len(page.files)))).decode()


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "http://example.org/x",
        "data:text/html,x",
        "https:///x",
        "https://a b/",
        "https://[x",
        "/",
    ],
)
def test_only_an_address_with_https_is_a_link_to_upstream(address: str) -> None:
    page = read(pages.repo_page(replace(shown(), upstream=address)))
    assert address in page.text
    assert address not in page.links


def test_what_is_gone_held_or_never_published_is_said(site: Mapping[str, bytes]) -> None:
    gone = read(pages.repo_page(replace(shown(), gone="disabled", since="2026-11-02T08:00:00Z")))
    assert "Its upstream has switched it off" in gone.text
    assert "stopped giving it 2026-11-02 08:00 UTC" in gone.text
    nothing = replace(shown(), snapshots=(), shown_commit=None, files=())
    told = read(pages.repo_page(nothing))
    assert "No file of this repo is published here." in told.text
    assert "hf download" not in told.text


@settings(deadline=None)
@given(branch=SPOKEN)
def test_a_branch_is_one_word_of_the_shell_and_one_literal_of_each_language(branch: str) -> None:
    page = shown()
    branched = replace(page, snapshots=(replace(page.snapshots[0], names=(branch,)),))
    shell, python, javascript, _, modelscope = (one.at("https://m") for one in commands(branched))
    for line in (shell, modelscope):
        assert shlex.split(line)[-2:] == ["--revision", branch]
    call = ast.parse(python).body[-1]
    assert isinstance(call, ast.Assign)
    assert isinstance(call.value, ast.Call)
    assert ast.literal_eval(call.value.keywords[0].value) == branch
    (said,) = (line for line in javascript.split("\n") if line.startswith("  revision: "))
    assert json.loads(said.removeprefix("  revision: ").removesuffix(",")) == branch


@pytest.mark.parametrize(
    ("kind", "library", "loader"),
    [
        (Kind.MODEL, "transformers", "AutoModel.from_pretrained"),
        (Kind.MODEL, "", "AutoModel.from_pretrained"),
        (Kind.MODEL, "diffusers", "DiffusionPipeline.from_pretrained"),
        (Kind.MODEL, "sentence-transformers", "SentenceTransformer("),
        (Kind.MODEL, "gguf", "snapshot_download("),
        (Kind.DATASET, "", "load_dataset("),
    ],
)
def test_python_gets_a_repo_by_what_it_is(kind: Kind, library: str, loader: str) -> None:
    page = shown()
    made = commands(replace(page, row=replace(page.row, kind=kind, library=library)))
    assert loader in made[1].after
    assert "revision" not in made[0].after + made[1].after  # main is what one gets without asking
    assert ("--repo-type dataset" in made[0].after) == (kind is Kind.DATASET)


def test_an_asset_is_named_by_its_content_and_pages_name_it_so(site: Mapping[str, bytes]) -> None:
    named = {link.rpartition("assets/")[2] for _, page in pages_of(site) for link in page.links if "assets/" in link}
    assert named == set(pages.assets())
    assert all(re.fullmatch(r"[a-z]+\.[0-9a-f]{8}\.(css|js|svg)", name) for name in named)


def test_the_home_page_of_ten_thousand_repos_stays_small_however_long_the_first_page_of_the_list_is() -> None:
    first, *others = examples.listed(10_000)
    rows = tuple(row for page in others for row in page.rows)
    cut = [replace(first, rows=rows[:2_000]), *others]
    content = pages.home(examples.overview(rows), cut)
    assert len(content) < 250_000
    assert content.count(b"<tr data-kind") == 250
    assert content.count(b'<a href="list/') == len(cut)


def test_a_filter_offers_the_commonest_values_and_no_more() -> None:
    [page] = examples.listed(1)
    rows = [replace(examples.row(0), licenses=(f"own-{number}",)) for number in range(500)]
    rows += [replace(examples.row(0), licenses=("mit", "mit"))] * 2
    content = read(pages.home(examples.EMPTY, [replace(page, rows=tuple(rows))]))
    offered = [value for tag, name, value in content.attributes if tag == "option" and name == "value"]
    assert "mit" in offered
    assert sum(value.startswith("own-") for value in offered) == 199
    assert "mit (2)" in content.text


@pytest.mark.parametrize("page", [pages.mirror_page(examples.EMPTY), pages.home(examples.EMPTY, [])])
def test_an_empty_mirror_has_pages(page: bytes) -> None:
    assert "<h1>" in page.decode()
    assert "None" not in read(page).text


def test_every_page_bears_the_operators_name_and_another_where_there_is_none(site: Mapping[str, bytes]) -> None:
    for key, page in pages_of(site):
        assert page.text.index("Example Institute models") < page.text.index("Catalogue"), key
    assert "Model mirror" in read(pages.repo_page(shown())).text


def test_the_mirrors_page_lists_the_gaps_and_how_many_more_there_are() -> None:
    lacking = (
        LackGroup("held", "license", 4, (Lack(Kind.DATASET, "acme/no", "v2", "nightly", "held", "x", "license"),)),
        LackGroup("never", "", 1, (Lack(Kind.MODEL, "acme/*", "main", "nightly", "never", "no run"),)),
    )
    page = read(pages.mirror_page(replace(examples.overview(()), gaps=5, lacking=lacking)))
    assert "Somebody has to look at its licence first其许可证需先由人工审核 4" in page.text
    assert "And 3 more." in page.text
    assert {"datasets/acme--no.html", "index.html#state=held", "#gaps"} <= set(page.links)
    assert not any("*" in link for link in page.links)
    whole = tuple(replace(group, count=1) for group in lacking)
    assert "more." not in read(pages.mirror_page(replace(examples.overview(()), gaps=2, lacking=whole))).text


@pytest.mark.parametrize(
    ("state", "code", "reason", "said"),
    [
        ("held", "license", "licence x is in licenses.review", "Somebody has to look at its licence first"),
        ("refused", "license", "licence x is not in licenses.allow", "Its licence is not allowed here"),
        ("held", "of-another-version", "x y", "Waits for a person to look at it"),
    ],
)
def test_plain_words_stand_before_the_operators_reason(state: str, code: str, reason: str, said: str) -> None:
    nothing = replace(shown(), row=replace(model(), state=state, licenses=()), snapshots=(), shown_commit=None)
    told = JobEntryView("nightly", "main", state, reason, code)
    page = read(pages.repo_page(replace(nothing, asked=(told,))))
    assert page.text.count(said) == 1  # a table of one row would say the same again
    assert page.text.count(reason) == 1
    page = read(pages.repo_page(replace(nothing, asked=(told, replace(told, job="weekly")))))
    assert page.text.count(said) == 4  # above, and in the table
    assert "Licence许可证" not in page.text.replace("\n", "")  # nobody knows it of what is not published


def test_one_day_is_told_as_one() -> None:
    day = Day("2026-11-20", 5_000_000, 1, 2, 3)
    told = read(pages.mirror_page(replace(examples.overview(()), growth=(day,), traffic=(day,)))).text
    assert told.count("5.00 MB on 2026-11-20, the only day so far") == 2
    assert "2026-11-20 to" not in told


def test_one_publication_and_the_units_of_time_are_told_in_both_languages() -> None:
    told = read(pages.mirror_page(replace(examples.overview(()), lag=Lag(1, 172.0, 172.0)))).text
    assert "(1 publication)." in told
    assert "2 min 52 s2 分钟 52 秒" in told


def test_badges_say_what_is_signed_what_was_scanned_and_which_files_run_code() -> None:
    bare = replace(shown(), signed=False, scanned=False, running=(), verdicts=())
    page = pages.repo_page(bare).decode()
    assert "data-badge" not in page
    assert "verdicts.json" not in page
    told = read(pages.repo_page(replace(bare, signed=True))).text
    assert "signed已签名" in told
    assert "scanned" not in told
    told = read(pages.repo_page(replace(bare, scanned=True, running=(("pickle", 2), ("code", 1))))).text
    assert "scanned已扫描" in told
    assert "2 pickles" in told
    assert "1 file of code" in told


def test_files_that_run_code_are_counted_also_where_they_are_too_many_to_be_listed() -> None:
    told = read(pages.repo_page(replace(shown(), classes=examples.digest("c"), running=(("code", 3),)))).text
    assert "3 files run code when they are loaded" in told
    assert "runs code" not in read(pages.repo_page(replace(shown(), running=()))).text


def test_each_verdict_is_told_with_its_rule_outcome_and_reason_and_with_the_way_to_all_of_them() -> None:
    page = read(pages.repo_page(shown()))
    for word in ("restricted", "allowed允许", "approved by Jane Doe, legal: terms read"):
        assert word in page.text
    at = f"../trust/models/{shown().row.repo}/{shown().shown_commit}/verdicts.json"
    assert at in page.links
    nothing = replace(shown(), snapshots=(), shown_commit=None, files=(), verdicts=())
    assert "licence apache-2.0 is allowed by licenses.allow" in read(pages.repo_page(nothing)).text


@settings(deadline=None)
@given(principal=SPOKEN)
def test_who_signs_is_one_word_of_the_lines_by_which_a_stranger_checks(principal: str) -> None:
    made = check_by_hand(shown(), principal)
    assert made is not None
    at = f"https://m.example/-/trust/models/{shown().row.repo}/{shown().shown_commit}/{{SHA256SUMS,SHA256SUMS.sig}}"
    assert shlex.split(f"{made.before}https://m.example{made.after}") == [
        *("curl", "-fsSO", "--remote-name-all", at),
        *("ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", principal, "-n", "mirror-sync"),
        *("-s", "SHA256SUMS.sig", "<", "SHA256SUMS"),
        *("cd", "model", "&&", "sha256sum", "--strict", "--quiet", "-c", "../SHA256SUMS"),
    ]


def test_nothing_is_there_to_be_checked_of_what_nobody_has_signed() -> None:
    assert check_by_hand(replace(shown(), signed=False), "me") is None
    assert check_by_hand(replace(shown(), shown_commit=None), "me") is None
    assert "ssh-keygen" not in read(pages.repo_page(replace(shown(), signed=False), principal="me")).text


def shown() -> RepoPage:
    return examples.repo_page(model())


def model() -> RepoRow:
    return examples.row(8)


def test_a_run_that_left_gaps_is_not_shown_as_complete() -> None:
    part = ShownJob("nightly", "0 2 * * *", 10, 5, None, None, "complete", None)
    shown = replace(examples.EMPTY, jobs=(part, replace(part, name="whole", mirrored=10)))
    page = pages.mirror_page(shown).decode()
    assert page.count('data-state="complete"') == 1
    assert "ended, some are not here yet" in page


def test_the_status_page_says_when_something_was_checked_and_never_that_all_was() -> None:
    assert "has not been verified again" in pages.mirror_page(examples.EMPTY).decode()
    checked = replace(examples.EMPTY, verified="2026-11-08T15:30:00Z")
    assert "All files were last compared with their SHA-256" in pages.mirror_page(checked).decode()
    assert "nothing was wrong" in pages.mirror_page(checked).decode()
    assert "2 files were wrong" in pages.mirror_page(replace(checked, faults=2)).decode()


def test_a_page_shows_the_commands_of_those_doors_alone_that_are_open() -> None:
    page = replace(shown(), files=(ShownFile("M-Q4_K_M.gguf", 5, examples.digest("x")),))
    shut = [one.title for one in commands(page)]
    assert shut == ["repo.shell", "repo.python", "repo.js", "repo.curl", "repo.llama", "repo.modelscope"]
    opened = {one.title: one.at("https://m") for one in commands(page, ("oci",))}
    assert list(opened) == [*shut, "repo.ollama", "repo.skopeo"]
    name = page.row.repo
    assert opened["repo.ollama"] == f'M=https://m; ollama pull "${{M#*://}}/{name}"'
    assert f'"docker://${{M#*://}}/{name.lower()}:latest"' in opened["repo.skopeo"]
    by_s3 = {one.title: one for one in commands(page, ("s3",))}
    assert list(by_s3) == [*shut, "repo.s3"]
    assert by_s3["repo.s3"].after == f" cp 's3://models/{name}/main/*' {name.rpartition('/')[2]}/"


def test_a_repo_that_no_registry_can_name_is_said_to_be_none_of_it() -> None:
    page = shown()
    odd = replace(page, row=replace(page.row, repo="acme/_odd"))
    said = "not in the registry"
    assert said in pages.repo_page(odd, doors=("oci",)).decode()
    assert said not in pages.repo_page(odd).decode() + pages.repo_page(page, doors=("oci",)).decode()

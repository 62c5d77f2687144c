"""The catalogue as its readers meet it: in a real browser, below a folder, under the strictest policy."""

from __future__ import annotations

import json
from functools import partial

import pytest
from selenium.webdriver.common.keys import Keys

from tests.catalogue import examples
from tests.catalogue.reader import PHONE, Reader
from tests.catalogue.server import Site

ROWS = [examples.row(number) for number in range(600)]
ROW = ROWS[24]
REPO = "datasets/acme--corpus-00024-base.html"
MODEL = "models/acme--encoder-00000-base.html"
PLACES = [
    "index.html",
    "models/acme--encoder-00000-base.html",
    "mirror.html",
    f"list/{examples.listed(12)[0].name}.html",
    "empty/index.html",
    "empty/mirror.html",
]

_FITS = "(one) => one.scrollWidth <= one.clientWidth"


def found(reader: Reader, count: str) -> None:
    reader.wait(lambda: reader.seen("#found").startswith(f"{count} of"))


def begins_with(reader: Reader, repo: str) -> bool:
    return reader.names()[:1] == [repo]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", PLACES)
def test_axe_finds_nothing_wrong(reader: Reader, tiny: Site, place: str, scheme: str) -> None:
    reader.prefer(prefers_color_scheme=scheme)
    reader.open(tiny.url + place)
    # the browser turns in its time
    colour = "return getComputedStyle(document.documentElement).backgroundColor"
    reader.wait(lambda: (reader.run(colour) == "rgb(15, 19, 23)") == (scheme == "dark"))
    assert reader.violations() == []


def test_axe_finds_nothing_wrong_in_chinese_while_searching_and_in_open_details(reader: Reader, tiny: Site) -> None:
    reader.open(f"{tiny.url}#q=encoder&sort=-bytes")
    reader.find("label[for=lang-zh]").click()
    reader.wait(lambda: len(reader.names()) == 10)
    assert reader.violations() == []
    reader.open(f"{tiny.url}mirror.html")
    for summary in reader.all("summary"):
        summary.click()
    assert reader.violations() == []


@pytest.mark.parametrize("place", PLACES)
def test_a_phone_shows_every_page_without_scrolling_sideways(reader: Reader, tiny: Site, place: str) -> None:
    reader.resize(PHONE)
    reader.open(tiny.url + place)
    assert reader.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_search_takes_several_words_and_narrows_by_what_a_repo_is(reader: Reader, small: Site) -> None:
    named = [row for row in ROWS if row.repo.startswith("acme/") and "004" in row.repo]
    reader.open(small.url)
    reader.find("#query").send_keys("ACME 004")
    found(reader, str(len(named)))
    assert sorted(reader.names()) == sorted(row.repo for row in named)
    reader.select("#by-kind", "dataset")
    reader.select("#by-size", "m")
    reader.select("#by-state", "held")
    left = [row for row in named if row.kind.value == "dataset" and row.state == "held" and 1e9 <= row.bytes < 1e10]
    assert 0 < len(left) < len(named)
    found(reader, str(len(left)))
    assert reader.browser.current_url.endswith("#q=ACME+004&kind=dataset&size=m&state=held")


def test_licence_and_task_are_those_of_the_rows(reader: Reader, small: Site) -> None:
    reader.open(small.url)
    reader.select("#by-licence", "mit")
    found(reader, str(sum("mit" in row.licenses for row in ROWS)))
    reader.select("#by-task", "text-generation")
    found(reader, str(sum("mit" in row.licenses and row.task == "text-generation" for row in ROWS)))


def test_an_address_gives_somebody_else_the_same_view(reader: Reader, small: Site) -> None:
    reader.open(f"{small.url}#q=encoder&kind=model&sort=-bytes")
    reader.wait(lambda: len(reader.names()) == 100)
    rows = [row for row in ROWS if row.kind.value == "model"]
    assert reader.names() == [row.repo for row in sorted(rows, key=lambda row: (-row.bytes, row.repo.lower()))[:100]]
    assert reader.find("#query").get_attribute("value") == "encoder"
    assert reader.find("th[data-sort=bytes]").get_attribute("aria-sort") == "descending"


def test_what_the_address_says_wrongly_is_passed_over(reader: Reader, small: Site) -> None:
    reader.open(f"{small.url}#kind=__proto__&size=constructor&sort=-toString&q=%22%3E%3Cscript%3E")
    found(reader, "0")
    reader.find("#reset").click()
    found(reader, "600")


def test_columns_sort_by_their_values_both_ways_and_say_so(reader: Reader, small: Site) -> None:
    reader.open(small.url)
    rows = sorted((row for row in ROWS if row.bytes), key=lambda row: (row.bytes, row.repo.lower()))
    reader.find("th[data-sort=bytes] button").click()
    reader.wait(lambda: reader.names()[0] == rows[-1].repo)
    reader.find("th[data-sort=bytes] button").click()
    reader.wait(lambda: reader.names()[0] == rows[0].repo)
    assert reader.find("th[data-sort=bytes]").get_attribute("aria-sort") == "ascending"
    assert reader.find("th[data-sort=name]").get_attribute("aria-sort") is None


def test_a_search_that_finds_nothing_says_so_and_can_be_cleared_there(reader: Reader, small: Site) -> None:
    reader.open(f"{small.url}#q=acme/x")
    found(reader, "0")
    assert reader.seen("#nothing").startswith("No repo matches.")
    assert not reader.find("#repos").is_displayed()
    assert reader.violations() == []
    reader.find("#nothing button").click()
    found(reader, "600")
    assert reader.find("#repos").is_displayed()
    assert not reader.find("#nothing").is_displayed()


@pytest.mark.parametrize(("site", "several"), [("tiny", False), ("small", True)])
def test_the_pages_of_the_list_are_named_where_there_are_several(
    reader: Reader, request: pytest.FixtureRequest, site: str, several: bool
) -> None:
    reader.open(request.getfixturevalue(site).url)
    assert reader.find(".pages").is_displayed() == several


def test_of_many_gaps_the_first_are_named_and_their_state_leads_to_all_that_have_it(
    reader: Reader, small: Site
) -> None:
    reader.open(small.url)
    reader.find(".facts a").click()
    reader.wait(lambda: reader.browser.current_url == f"{small.url}mirror.html#gaps")
    for summary in reader.all("#gaps summary"):
        summary.click()
    reader.find("a[href='index.html#state=held']").click()
    held = [row.repo for row in ROWS if row.state == "held"]
    found(reader, str(len(held)))
    assert reader.names() == sorted(held, key=str.lower)


def test_a_desktop_shows_all_columns(reader: Reader, tiny: Site) -> None:
    for place in PLACES:
        reader.open(tiny.url + place)
        assert reader.run("return [...document.querySelectorAll('.scroll')].every(fits)".replace("fits", _FITS)), place


@pytest.mark.parametrize(
    ("place", "columns"), [("index.html", ["name", "state", "bytes"]), ("mirror.html", ["Job", "Outcome", "Next run"])]
)
def test_a_narrow_window_shows_the_columns_that_matter_and_that_there_are_more(
    reader: Reader, tiny: Site, place: str, columns: list[str]
) -> None:
    reader.resize((500, 900))
    reader.open(tiny.url + place)
    heads = "[...document.querySelector('table').tHead.rows[0].cells]"
    seen = reader.run(
        f"return {heads}.filter((one) => one.getBoundingClientRect().right <= innerWidth)"
        ".map((one) => one.dataset.sort ?? one.innerText)"
    )
    assert seen[: len(columns)] == columns
    assert "gradient" in reader.run("return getComputedStyle(document.querySelector('.scroll')).backgroundImage")


def test_a_run_that_should_have_begun_is_due(reader: Reader, tiny: Site) -> None:
    page = tiny.pages["site/mirror.html"].replace(b"2026-11-21T02:00:00Z", b"2026-11-20T02:00:00Z")
    tiny.pages["site/due.html"] = page
    reader.open(f"{tiny.url}due.html")
    assert reader.seen("time[data-ahead]") == "due"
    reader.find("label[for=lang-zh]").click()
    assert reader.seen("time[data-ahead]") == "即将开始"
    reader.run("document.querySelector('time[data-ahead]').dateTime = '2999-01-01T00:00:00Z'")
    reader.find("label[for=lang-en]").click()
    assert "2999" in reader.seen("time[data-ahead]")


def test_a_found_repo_leads_to_its_page(reader: Reader, small: Site) -> None:
    reader.open(f"{small.url}#q=acme/corpus-00024")
    found(reader, "1")
    reader.find("#repos tbody a").click()
    reader.wait(lambda: reader.seen("h1") == ROW.repo)
    assert reader.browser.current_url == small.url + REPO


def test_the_keyboard_alone_is_enough(reader: Reader, small: Site) -> None:
    reader.open(small.url)
    reader.publish_run(Keys.TAB)
    assert reader.seen(":focus") == "Skip to the content"
    reader.tab_to("th[data-sort=files] button")
    reader.publish_run(Keys.ENTER)
    reader.wait(lambda: reader.find("th[data-sort=files]").get_attribute("aria-sort") == "descending")
    reader.publish_run("/")
    reader.publish_run("acme/x")
    found(reader, "0")
    reader.publish_run(Keys.ESCAPE)
    found(reader, "600")
    reader.publish_run("acme/corpus-00024")
    found(reader, "1")
    assert reader.find("#query").get_attribute("value") == "acme/corpus-00024"  # the slash in it is a letter
    reader.tab_to("#repos tbody a")
    reader.publish_run(Keys.ENTER)
    reader.wait(lambda: reader.browser.current_url == small.url + REPO)


def test_who_skips_to_the_content_keeps_what_was_asked_for(reader: Reader, small: Site) -> None:
    reader.open(f"{small.url}#q=acme%2Fcorpus-00024")
    found(reader, "1")
    reader.publish_run(Keys.TAB, Keys.ENTER)
    reader.wait(lambda: reader.run("return document.activeElement.id") == "content")
    reader.wait(lambda: reader.browser.current_url.endswith("#q=acme%2Fcorpus-00024"))
    assert reader.names() == [ROW.repo]


def test_ten_thousand_repos_are_asked_for_when_somebody_searches_and_few_are_shown(reader: Reader, big: Site) -> None:
    lists = len(examples.listed(10_000))
    big.asked.clear()
    reader.open(big.url)
    assert len(big.asked) <= 6  # the page, a style, three scripts, an icon
    assert not [path for path in big.asked if "/list/" in path]
    reader.publish_run("/")
    reader.publish_run("qwen")
    found(reader, "1,250")
    assert sum("/list/" in path for path in big.asked) == lists
    assert len(reader.names()) == 100
    reader.find("#more").click()
    reader.wait(lambda: len(reader.names()) == 200)
    assert reader.run("return document.activeElement.textContent") == reader.names()[100]
    reader.publish_run("/")
    reader.publish_run(*[Keys.BACKSPACE] * 4, "07772 base")
    found(reader, "1")
    assert sum("/list/" in path for path in big.asked) == lists  # nothing is asked for twice
    assert reader.run("return document.querySelectorAll('*').length") < 6_000


def test_a_page_of_the_list_that_cannot_be_read_is_told_and_the_others_are_searched(
    reader: Reader, small: Site
) -> None:
    page = examples.listed(600)[1]
    kept = small.pages.pop(f"site/list/{page.name}.html")
    try:
        reader.open(f"{small.url}#q=base")
        found(reader, str(600 - len(page.rows)))
        assert "could not be read" in reader.seen("#broken")
    finally:
        small.pages[f"site/list/{page.name}.html"] = kept
    assert all("404" in told for told in reader.complaints())


def test_chinese_is_kept_from_page_to_page(reader: Reader, small: Site) -> None:
    reader.open(small.url)
    assert "Repos" in reader.seen("main")
    reader.find("label[for=lang-zh]").click()
    assert "仓库列表" in reader.seen("main")
    assert "Repos" not in reader.seen("main")
    assert reader.find("#by-kind option").text == "所有类型"
    reader.open(small.url + REPO)
    assert reader.run("return document.documentElement.lang") == "zh"
    assert "版本" in reader.seen()


def test_a_browser_of_a_chinese_reader_begins_in_chinese(reader: Reader, small: Site) -> None:
    reader.command("Network.setUserAgentOverride", userAgent="Test", acceptLanguage="zh-CN,zh")
    try:
        reader.open(small.url)
        assert "仓库列表" in reader.seen("main")
    finally:
        reader.command("Network.setUserAgentOverride", userAgent="Test", acceptLanguage="en")


def test_the_choice_of_colours_is_kept_and_outweighs_the_system(reader: Reader, small: Site) -> None:
    reader.open(small.url)
    reader.find("label[for=theme-dark]").click()
    reader.open(f"{small.url}mirror.html")
    assert reader.run("return getComputedStyle(document.documentElement).colorScheme") == "dark"
    assert reader.find("#theme-dark").is_selected()


def test_without_scripts_all_can_be_read_and_what_needs_them_is_hidden(reader: Reader, small: Site) -> None:
    reader.without_scripts()
    reader.open(small.url)
    assert not reader.find("#find").is_displayed()
    assert len(reader.all("#repos tbody tr")) == min(250, len(examples.listed(600)[0].rows))
    assert len(reader.all("#pages a")) == len(examples.listed(600))
    reader.find("label[for=lang-zh]").click()
    assert "仓库列表" in reader.seen("main")
    assert "Repos" not in reader.seen("main")
    reader.find("#pages a").click()
    assert reader.find("#repos").is_displayed()
    reader.open(small.url + REPO)
    assert "HF_ENDPOINT=https://MIRROR-ADDRESS hf download" in reader.seen("#get-1")
    assert "Put this site’s address in place of https://MIRROR-ADDRESS." in reader.seen()
    assert not [button for button in reader.all("button") if button.is_displayed()]
    assert "UTC" in reader.seen(".terms time")


def test_commands_name_this_mirror_and_are_copied_whole(reader: Reader, small: Site) -> None:
    reader.command("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    reader.open(small.url + REPO)
    origin = small.url.removesuffix("/-/")
    command = f"HF_ENDPOINT={origin} hf download {ROW.repo} --repo-type dataset"
    assert reader.seen("#get-1") == command
    reader.find("button[data-copies=get-1]").click()
    reader.wait(lambda: reader.attribute("#said", "textContent").startswith("Copied"))
    assert reader.run("return navigator.clipboard.readText()") == command


def test_without_a_clipboard_for_scripts_the_browser_copies_what_is_selected(reader: Reader, small: Site) -> None:
    reader.open(small.url + REPO)
    reader.run("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    reader.find("button[data-copies=get-3]").click()
    reader.wait(lambda: reader.attribute("#said", "textContent").startswith("Copied"))
    assert reader.run("return getSelection().toString()") == reader.seen("#get-3")


def test_times_are_the_readers_own_and_keep_what_they_stand_for(reader: Reader, small: Site) -> None:
    reader.open(small.url + REPO)
    time = reader.find(".terms time")
    assert time.get_attribute("datetime") == ROW.published
    assert str(ROW.published) in reader.attribute(".terms time", "title")
    assert "UTC" not in time.text
    reader.find("label[for=lang-zh]").click()
    assert reader.seen(".terms time").endswith(("前", "天", "日"))


def test_a_page_tells_how_fresh_it_is_and_what_was_made_of_it_as_the_mirror_says_now(
    reader: Reader, tiny: Site
) -> None:
    reader.open(tiny.url + MODEL)
    reader.wait(lambda: reader.find("#checked").is_displayed())
    assert reader.attribute("#checked time", "datetime") == examples.moment(1)
    assert "nothing was wrong" in reader.seen("#proved")
    reader.wait(lambda: reader.find("#family .self ul").is_displayed())
    child = next(row for row in ROWS[:12] if row.bases)
    assert child.repo in reader.seen("#family .self ul")
    reader.find("#family .self ul a").click()
    reader.wait(lambda: reader.seen("h1") == child.repo)
    reader.wait(lambda: reader.all("#family a"))
    assert reader.seen("#family a") == "acme/encoder-00000-base"
    assert reader.seen("#family .self > .aside") == "quantized"


def test_text_and_json_are_looked_at_where_they_stand_and_no_more_than_their_beginning(
    reader: Reader, tiny: Site
) -> None:
    at = f"site//acme/encoder-00000-base/resolve/{examples.commit(1)}"
    tiny.pages[f"{at}/config.json"] = b'{"hidden":{"<b>":[1,2]}}'
    tiny.pages[f"{at}/README.md"] = b"\xe4\xb8\xad<script>alert(1)</script>\n" * 40_000
    reader.open(tiny.url + MODEL)
    look = "document.querySelector('[aria-labelledby$=\"path-{}\"]').click()"
    reader.run(look.format(3))
    reader.wait(
        lambda: reader.seen("#preview pre") == '{\n  "hidden": {\n    "<b>": [\n      1,\n      2\n    ]\n  }\n}'
    )
    assert reader.violations() == []
    reader.find("#preview-close").click()
    assert not reader.find("#preview").is_displayed()
    deep = "[" * 100 + "]" * 100  # laid out it would be 100 times as long, and so on
    tiny.pages[f"{at}/config.json"] = deep.encode()
    reader.run(look.format(3))
    reader.wait(lambda: reader.seen("#preview pre") == deep)
    reader.find("#preview-close").click()
    reader.run(look.format(2))
    reader.wait(lambda: reader.seen("#preview pre").startswith("中<script>"))
    assert "The beginning of the file" in reader.seen("#preview-said")
    assert reader.run("return document.querySelector('#preview pre').textContent.length") <= 128 * 1024
    reader.publish_run(Keys.ESCAPE)
    reader.run(look.format(1))
    reader.wait(lambda: "could not be read" in reader.seen("#preview-said"))
    assert all("404" in told for told in reader.complaints())


def test_what_changed_between_two_versions_is_told_by_their_listings(reader: Reader, tiny: Site) -> None:
    at = "site//api/models/acme/encoder-00000-base/tree"
    old = [{"type": "file", "path": name, "oid": name, "size": 1} for name in ("same", "gone", "other")]
    new = [{**one, "oid": "x"} if one["path"] == "other" else one for one in old if one["path"] != "gone"]
    new.append({"type": "file", "path": "new <b>", "oid": "n", "size": 1})
    tiny.pages[f"{at}/{examples.commit(2)}"] = json.dumps(old).encode()
    tiny.pages[f"{at}/{examples.commit(1)}"] = json.dumps(new).encode()
    reader.open(tiny.url + MODEL)
    reader.find("#compare-do").click()
    reader.wait(lambda: reader.all("#compared ul"))
    told = reader.seen("#compared").split("\n")
    assert [one for one in told if one] == ["Added 1", "new <b>", "Removed 1", "gone", "Changed 1", "other"]
    assert reader.violations() == []
    reader.select("#compare-before", examples.commit(1))
    reader.find("#compare-do").click()
    reader.wait(lambda: reader.seen("#compared") == "Both have the same files.")


def test_the_list_is_had_in_the_order_that_a_reader_chooses(reader: Reader, small: Site) -> None:
    reader.open(small.url)
    for column in ("downloads", "parameters", "published", "bytes"):
        has = [row for row in ROWS if getattr(row, column)]  # what is not here has no size and no age: it comes last
        for value, best in ((f"-{column}", max), (column, min)):
            if value in ("downloads", "parameters"):
                continue
            reader.select("#by-sort", value)
            first = best(has, key=lambda row: getattr(row, column))
            same = [row.repo for row in has if getattr(row, column) == getattr(first, column)]
            reader.wait(partial(begins_with, reader, min(same, key=str.lower)))
    assert reader.browser.current_url.endswith("#sort=bytes")
    reader.find("#query").send_keys("quantized-from-nothing")
    found(reader, "0")


def test_a_phone_says_why_a_repo_is_not_here(reader: Reader, tiny: Site) -> None:
    reader.resize((390, 844))
    reader.open(tiny.url)
    refused = next(row for row in ROWS[:12] if row.state == "refused")
    reader.open(f"{tiny.url}#q={refused.repo}")
    found(reader, "1")
    assert reader.seen("#repos .below") == "Its licence is not allowed here"
    right = "return document.querySelector('#repos .below').getBoundingClientRect().right"
    assert reader.run(right) <= 390
    reader.open(f"{tiny.url}mirror.html")
    assert "Its licence is not allowed here" in reader.seen("#gaps")


def test_a_digest_is_seen_in_part_and_selected_whole(reader: Reader, small: Site) -> None:
    reader.open(small.url + REPO)
    code = reader.find(".tree > .file code.sum")
    assert code.size["width"] < 200
    code.click()
    assert reader.run("return getSelection().toString().trim()") == examples.digest("LICENSE")

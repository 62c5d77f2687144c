"""The two files of a run: what is kept, what is replaced, and what a reader sees."""

from __future__ import annotations

from pathlib import Path

from bench.figures import Verdict
from bench.table import Results, Section, load, markdown, save, table

HERE, WITH = {"kernel": "Linux 6"}, {"rclone": "1.75"}
MET, MISSED = Verdict("time", "≤ 2 s", "1 s", True), Verdict("memory", "≤ 1 MiB", "9 MiB", False)


def section(name: str = "large", *verdicts: Verdict) -> Section:
    return Section(name, f"The {name} one", [{"": "ours", "s": "1.5"}], verdicts, rounds=5, raw=[{"seconds": 1.5}])


def test_what_was_saved_is_loaded_again(tmp_path: Path) -> None:
    results = Results(HERE, WITH)
    results.add(section("large", MET, MISSED))
    save(results, tmp_path)
    assert load(tmp_path / "results.json", HERE, WITH).as_json() == results.as_json()


def test_a_later_run_of_one_workload_keeps_the_others(tmp_path: Path) -> None:
    results = Results(HERE, WITH)
    results.add(section("large", MISSED))
    results.add(section("small", MET))
    save(results, tmp_path)
    again = load(tmp_path / "results.json", HERE, WITH)
    again.add(section("large", MET))
    assert {name: one.verdicts[0].met for name, one in again.sections.items()} == {"large": True, "small": True}


def test_results_of_another_machine_or_of_other_versions_are_dropped(tmp_path: Path) -> None:
    results = Results(HERE, WITH)
    results.add(section())
    save(results, tmp_path)
    assert not load(tmp_path / "results.json", {"kernel": "Linux 7"}, WITH).sections
    assert not load(tmp_path / "results.json", HERE, {"rclone": "2"}).sections


def test_a_file_that_is_no_results_counts_as_none(tmp_path: Path) -> None:
    place = tmp_path / "results.json"
    for text in ("", "[]", '{"sections": {"a": {}}}'):
        place.write_text(text)
        assert not load(place, HERE, WITH).sections


def test_the_report_names_what_was_missed_first() -> None:
    results = Results(HERE, WITH)
    results.add(section("large", MET, MISSED))
    text = markdown(results)
    assert "Targets met: 1 of 2.\nWhere the time goes, and what was tried, is in [performance.md]" in text
    assert "Missed:\n\n- large: memory 9 MiB, wanted ≤ 1 MiB" in text
    assert "| memory | ≤ 1 MiB | 9 MiB | **missed** |" in text
    assert "| time | ≤ 2 s | 1 s | met |" in text
    assert "N = 5" in text


def test_a_table_keeps_its_columns_in_order_and_its_cells_apart() -> None:
    assert table([{"": "a|b", "s": "1"}]) == "|  | s |\n| --- | ---: |\n| a\\|b | 1 |"
    assert table([]) == ""

"""The files in monitoring/ and their manual speak of metrics and alerts that exist, and of all of them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirror_sync.errors import BadAnswer, IntegrityError, RateLimited, StoreUnavailable, Unreachable
from mirror_sync.observe.metrics.metrics import CAUSES, Metrics
from mirror_sync.sources.hub.budget import CAUSE
from tests.parts import program
from tests.requirements import need

TOP = Path(__file__).parents[2]
FOLDER = TOP / "monitoring"
MANUAL = (TOP / "docs" / "guide" / "monitoring.md").read_text(encoding="utf-8")
GROUPS = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
DASHBOARDS = {
    name: json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    for name in ("grafana-dashboard", "grafana-readers")
}
EACH = pytest.mark.parametrize("name", DASHBOARDS)
_PARTS = re.compile("_(bucket|count|sum)$")  # of a histogram
_NAME = re.compile(r"\b(?:mirror_sync|process)_[a-z_]+")


def metrics() -> Iterator[tuple[str, str, str]]:
    """Name, type and help of each, as Prometheus reads them."""
    for family in Metrics().registry.collect():
        yield family.name + "_total" * (family.type == "counter"), family.type, family.documentation


NAMES = {name for name, _, _ in metrics()}


def targets(*names: str) -> Iterator[dict[str, Any]]:
    for name in names or DASHBOARDS:
        for panel in DASHBOARDS[name]["panels"]:
            yield from panel.get("targets", ())


def expressions(*names: str) -> Iterator[str]:
    yield from (target["expr"] for target in targets(*names))


def asked_in(text: str) -> set[str]:
    """The metrics that an expression names."""
    found = set(_NAME.findall(text))
    return {name if name in NAMES else _PARTS.sub("", name) for name in found}


def promtool(*words: str) -> str:
    need("prometheus")
    done = subprocess.run([program("promtool"), *words], capture_output=True, text=True, cwd=FOLDER, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_no_fault_in_the_rules_and_the_configuration() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("check", "config", "prometheus.yml")


def test_every_rule_fires_when_it_should_and_only_then() -> None:
    promtool("test", "rules", "alerts_test.yml")


def test_every_rule_is_shown_to_fire_and_to_stay_silent() -> None:
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    shown = [(test["alertname"], bool(test["exp_alerts"])) for one in tests for test in one["alert_rule_test"]]
    names = {rule["alert"] for rule in RULES}
    assert {name for name, fires in shown if fires} == names
    assert {name for name, fires in shown if not fires} == names - {"MirrorSyncWatchdog"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_metrics_that_exist_and_the_manual_says_what_to_do(rule: dict[str, Any]) -> None:
    assert asked_in(rule["expr"]) <= NAMES
    page, _, place = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (TOP / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert [one for one in headings if one.lower() == place] == [rule["alert"]], "a link into the manual, to one place"


def test_the_manual_speaks_of_no_other_rule() -> None:
    assert set(re.findall(r"^### (MirrorSync\w+)$", MANUAL, re.MULTILINE)) == {rule["alert"] for rule in RULES}


def test_the_manual_lists_every_metric_as_the_program_describes_it() -> None:
    ours = [metric for metric in metrics() if metric[0].startswith("mirror_sync_")]
    rows = [f"| `{name}` | {kind} |" for name, kind, _ in ours]
    assert [row for row in rows if row not in MANUAL] == []
    assert [text for _, _, text in ours if f"| {text} |" not in MANUAL] == []
    assert set(re.findall(r"`(mirror_sync_\w+)", MANUAL)) <= NAMES


def test_the_dashboards_ask_for_metrics_that_exist_and_show_nearly_all() -> None:
    asked = {name for expression in expressions() for name in asked_in(expression)}
    assert asked <= NAMES
    unseen = {name for name in NAMES - asked if name.startswith("mirror_sync_")}
    assert unseen == {
        "mirror_sync_start_timestamp_seconds",
        "mirror_sync_ha_since_timestamp_seconds",
        "mirror_sync_ha_lease_contact_age_seconds",
        "mirror_sync_ha_changes",
        "mirror_sync_endpoint_taken",
        "mirror_sync_job_first_seen_timestamp_seconds",
        "mirror_sync_job_last_attempt_timestamp_seconds",
        "mirror_sync_job_last_end_timestamp_seconds",
        "mirror_sync_job_last_end_duration_seconds",
        "mirror_sync_config_last_reload_success_timestamp_seconds",
        "mirror_sync_target_keep_counted_since_timestamp_seconds",
        "mirror_sync_target_tier_bytes",
    }


def test_a_legend_names_labels_that_the_manual_says_the_metric_has() -> None:
    rows = re.findall(r"^\| `(\w+)` \| \w+ \| (.*?) \|", MANUAL, re.MULTILINE)
    labels = {name: set(re.findall(r"`(\w+)`", text)) | {"instance", "job"} for name, text in rows}
    for target in targets():
        of_all = set().union(*(labels.get(name, set()) for name in asked_in(target["expr"])))
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= of_all | {"version"}, target


def test_replicas_and_the_front_have_rows_of_several_panels() -> None:
    counts: dict[str, int] = {}
    for name in DASHBOARDS:
        title = ""
        for panel in DASHBOARDS[name]["panels"]:
            title = panel["title"] if panel["type"] == "row" else title
            counts[title] = counts.get(title, 0) + (panel["type"] != "row")
    assert (counts["Replicas"], counts["The front"]) == (4, 6)
    assert min(counts.values()) > 1, counts


@EACH
def test_a_dashboard_is_one_that_grafana_imports(name: str) -> None:
    """As its manual has the JSON model: what a panel needs is there, and every data source is the one of the choice."""
    one = DASHBOARDS[name]
    assert {"uid", "title", "schemaVersion", "templating", "time", "panels"} <= one.keys()
    assert next(each["type"] for each in one["templating"]["list"]) == "datasource"
    others = {f"/d/{each['uid']}" for each in DASHBOARDS.values()}
    assert {link["url"] for link in one["links"]} == others - {f"/d/{one['uid']}"}
    for panel in one["panels"]:
        assert {"id", "type", "title", "gridPos"} <= panel.keys()
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert len({each["refId"] for each in panel["targets"]}) == len(panel["targets"]) > 0
    known = {f"${each['name']}" for each in one["templating"]["list"]} | {"$__rate_interval"}
    assert {word for text in expressions(name) for word in re.findall(r"\$\w+", text)} <= known


def test_prometheus_can_read_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    asked = [text.replace("$__rate_interval", "5m").replace("$mirror_job", ".*") for text in expressions()]
    rules = [{"record": f"panel_{number}", "expr": text} for number, text in enumerate(asked)]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    promtool("check", "rules", str(path))


@EACH
def test_the_panels_of_a_dashboard_have_ids_of_their_own_and_do_not_overlap(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_cause_of_a_retry_is_counted_from_the_start() -> None:
    errors = (Unreachable, RateLimited, BadAnswer, IntegrityError, StoreUnavailable)
    assert {*(error.code for error in errors), CAUSE} == set(CAUSES)

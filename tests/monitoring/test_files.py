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
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
_NAME = re.compile(r"\b(?:mirror_sync|process)_[a-z_]+")


def metrics() -> Iterator[tuple[str, str, str]]:
    """Name, type and help of each, as Prometheus reads them."""
    for family in Metrics().registry.collect():
        yield family.name + "_total" * (family.type == "counter"), family.type, family.documentation


NAMES = {name for name, _, _ in metrics()}


def expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


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
    assert set(_NAME.findall(rule["expr"])) <= NAMES
    assert rule["annotations"]["runbook"] == f"docs/guide/monitoring.md#{rule['alert'].lower()}"
    assert f"### {rule['alert']}\n" in MANUAL


def test_the_manual_speaks_of_no_other_rule() -> None:
    assert set(re.findall(r"^### (MirrorSync\w+)$", MANUAL, re.MULTILINE)) == {rule["alert"] for rule in RULES}


def test_the_manual_lists_every_metric_as_the_program_describes_it() -> None:
    ours = [metric for metric in metrics() if metric[0].startswith("mirror_sync_")]
    rows = [f"| `{name}` | {kind} |" for name, kind, _ in ours]
    assert [row for row in rows if row not in MANUAL] == []
    assert [text for _, _, text in ours if f"| {text} |" not in MANUAL] == []
    assert set(re.findall(r"`(mirror_sync_\w+)", MANUAL)) <= NAMES


def test_the_dashboard_asks_for_metrics_that_exist_and_shows_nearly_all() -> None:
    asked = {name for expression in expressions() for name in _NAME.findall(expression)}
    assert asked <= NAMES
    unseen = {name for name in NAMES - asked if name.startswith("mirror_sync_")}
    assert unseen == {
        "mirror_sync_start_timestamp_seconds",
        "mirror_sync_road_bytes_total",
        "mirror_sync_roads_left_total",
        "mirror_sync_endpoint_rate_bytes",
        "mirror_sync_endpoint_taken",
        "mirror_sync_endpoint_streams",
        "mirror_sync_endpoint_failed_streams",
        "mirror_sync_job_first_seen_timestamp_seconds",
        "mirror_sync_job_last_attempt_timestamp_seconds",
        "mirror_sync_job_last_end_timestamp_seconds",
        "mirror_sync_job_last_end_duration_seconds",
        "mirror_sync_state_writable",
        "mirror_sync_config_last_reload_successful",
        "mirror_sync_config_last_reload_success_timestamp_seconds",
        "mirror_sync_webhooks_total",
        "mirror_sync_last_verify_timestamp_seconds",
        "mirror_sync_last_verify_faults",
        "mirror_sync_traffic_unusual_clients",
        "mirror_sync_traffic_refused_requests",
        "mirror_sync_traffic_last_request_timestamp_seconds",
        "mirror_sync_target_keep_let_go_repos",
        "mirror_sync_target_keep_counted_since_timestamp_seconds",
        "mirror_sync_target_tier_bytes",
        "mirror_sync_last_prune_timestamp_seconds",
        "mirror_sync_last_prune_faults",
        "mirror_sync_front_certificate_expiry_timestamp_seconds",
        "mirror_sync_replica_published_timestamp_seconds",
        "mirror_sync_replica_behind_snapshots",
        "mirror_sync_replica_failing",
        "mirror_sync_site_last_success_timestamp_seconds",
        "mirror_sync_site_failures_total",
    }


def test_prometheus_can_read_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    asked = [text.replace("$__rate_interval", "5m").replace("$mirror_job", ".*") for text in expressions()]
    rules = [{"record": f"panel_{number}", "expr": text} for number, text in enumerate(asked)]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    promtool("check", "rules", str(path))


def test_the_panels_of_the_dashboard_have_ids_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_cause_of_a_retry_is_counted_from_the_start() -> None:
    errors = (Unreachable, RateLimited, BadAnswer, IntegrityError, StoreUnavailable)
    assert {*(error.code for error in errors), CAUSE} == set(CAUSES)

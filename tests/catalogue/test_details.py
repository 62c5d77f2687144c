"""Whatever a rule says is told in Chinese, too: every sentence that the rules and who judges beside them can write."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mirror_sync
from mirror_sync.catalogue import texts
from mirror_sync.catalogue.words.details import SENTENCES, in_chinese
from mirror_sync.domain.formats.file_class import Classified, FileClass
from mirror_sync.domain.policy.decisions import Decision, DecisionOutcome, Decisions, Matter, RuleKey
from mirror_sync.domain.policy.format_policy import FormatPolicy
from mirror_sync.domain.policy.house_rules import Cooldown, Forbidden, InheritedLicence, Restricted, Restriction
from mirror_sync.domain.policy.licences import Approval, LicensePolicy, Missing
from mirror_sync.domain.policy.rules import BaseModel, Candidate, Rule, Verdict, judge_all
from mirror_sync.domain.policy.scan_policy import (
    OnFailure,
    ScannedFile,
    ScannerReport,
    ScanPolicy,
    ScanResult,
    judge_scans,
)
from mirror_sync.domain.policy.terms import Terms
from mirror_sync.domain.repo import Kind, Repo, RepoPattern
from mirror_sync.domain.work import held

REPO = Repo(Kind.MODEL, "acme/tiny")
NOW = datetime(2026, 11, 20, tzinfo=UTC)
_HAN = re.compile(r"[\u4e00-\u9fff]")
_SLOT = re.compile(r"\{[*+]?(\w+)\}")
_ROOT = Path(mirror_sync.__file__).parent
_LICENCES: tuple[tuple[str, ...], ...] = ((), ("mit",), ("gpl-3.0", "mit"), ("gemma",), ("cc-by-nd-4.0",), ("other",))


def _terms() -> Iterator[Terms]:
    flags = (False, True, None)
    for ids, name, link in product(_LICENCES, (None, "Acme-1"), (None, "LICENSE", "https://acme.example/1")):
        yield Terms(frozenset(ids), frozenset(ids), name, link)
    for private, gated in product(flags, flags):
        yield Terms(frozenset({"gemma"}), frozenset({"mit"}), private=private, gated=gated)
    yield Terms(disabled=True)
    yield Terms(unread="the upstream answered 500")


def _rules() -> Iterator[Rule]:
    for missing in Missing:
        licences = LicensePolicy(
            frozenset({"mit", "cc-by-nd-4.0", "other:acme-1@https://acme.example/2"}),
            frozenset({"gemma"}),
            missing,
            (Approval(Repo(Kind.MODEL, "acme/approved"), "Ada", "legal (7); fine"),),
        )
        yield licences
        yield InheritedLicence(licences)
    pattern = RepoPattern(Kind.MODEL, "acme/*")
    yield Forbidden((pattern,))
    yield Forbidden(())
    yield from (Restricted((Restriction(pattern, pin),)) for pin in (False, True))
    yield Restricted(())
    yield Cooldown(timedelta(days=3))


def _candidates(terms: Terms) -> Iterator[Candidate]:
    bases = [BaseModel(name, one) for name, one in (("acme/base", terms), ("no id at all", Terms()))]
    about = Matter((REPO,), now=NOW)
    for whole, named in product((False, True), (False, True)):
        yield Candidate(REPO, terms, whole=whole, named=named, about=about, made=NOW, bases=())
        yield Candidate(
            REPO, terms, whole=whole, named=named, about=about, made=NOW - timedelta(days=9), bases=bases[:1]
        )
    yield Candidate(Repo(Kind.MODEL, "acme/approved"), terms, whole=True, named=False, about=about, bases=bases[1:])
    yield Candidate(REPO, terms, whole=True, named=True, about=Matter((REPO,), published=True), bases=bases * 9)
    yield Candidate(REPO, terms, whole=True, named=True, about=about, bases=bases * 9)
    for outcome in DecisionOutcome:
        made = Decision(RepoPattern(Kind.MODEL, REPO.id), None, RuleKey.RESTRICTED, outcome, "张三", "terms", "L-1")
        yield Candidate(REPO, terms, whole=True, named=True, about=about, decisions=Decisions((made,)))


def _files() -> Iterator[Verdict]:
    files = [(f"a/{of}-{number}.bin", Classified(of, "ELF")) for of in FileClass for number in range(5)]
    for refuse, hold in (((), ()), ([FileClass.PICKLE], ()), ([FileClass.PICKLE], [FileClass.CODE, FileClass.UNKNOWN])):
        yield FormatPolicy(frozenset(refuse), frozenset(hold)).judge(files)
        yield FormatPolicy(frozenset(refuse), frozenset(hold)).judge(files[::5])
    yield FormatPolicy().judge([])


def _scans() -> Iterator[Verdict]:
    for on_failure, count, why in product(OnFailure, (0, 1, 2, 5), ("", "os.system, eval (1)")):
        bad = [ScannedFile(f"w, {one}.pkl", result, why) for one in range(count) for result in (*ScanResult,)[1:]]
        reports = [ScannerReport(name, "1.0", "2026-11-20T08:00:00Z", 9, tuple(bad)) for name in ("picklescan", "hub")]
        yield judge_scans(ScanPolicy(on_failure=on_failure), reports)
    yield judge_scans(ScanPolicy(), [])


def _verdicts() -> Iterator[Verdict]:
    for rule, terms in product(_rules(), _terms()):
        for candidate in _candidates(terms):
            yield from judge_all([rule], candidate).verdicts
    yield from _files()
    yield from _scans()


def test_every_verdict_of_every_rule_has_its_chinese_with_the_same_figures() -> None:
    reasons = {verdict.reason for verdict in _verdicts()}
    assert len(reasons) > 50
    for reason in reasons:
        for said in (reason, held(None, reason, "").reason):
            chinese = in_chinese(said)
            assert chinese is not None, said
            assert _HAN.search(chinese), said
            assert not set(re.findall(r"\d+", said)) - set(re.findall(r"\d+", chinese)), (said, chinese)


_JUDGES = (
    *("domain/policy/*.py", "domain/job/guard.py", "domain/job/variants.py", "domain/job/job.py", "domain/work.py"),
    *("engine/sync/doubts.py", "engine/sync/unproved.py", "engine/sync/decide.py", "app/own/pushing.py"),
    "domain/doors/torrent_metainfo.py",
)
_TOLD = {"Verdict", "_verdict", "held", "BaseModel", "Terms"}
_NO_REASON = (
    "frozen: gone upstream",  # of what is gone, which has a text of its own
    "internal error",  # of what failed, as well
    "§ goes back from",  # said of what is published
    "§ is not needed, or set unproved",  # the end of a sentence
    " with this license_link",  # as well, and what stands before it
    "licence § is not in licenses.allow§",
)


def _written(tree: ast.AST) -> Iterator[str]:
    """What is said in a verdict, or by functions that say why: sentences, with a word in the place of each value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _TOLD:
            yield from _spoken([*node.args, *(one.value for one in node.keywords)])
        if isinstance(node, ast.FunctionDef) and node.returns is not None and ast.unparse(node.returns) == "str":
            yield from _spoken(one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("reason", "doubt", "told"):
            yield from _spoken([node.value])


def _spoken(nodes: Iterable[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.IfExp):
            yield from _spoken([node.body, node.orelse])
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else "§" for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _is_sentence(text: str) -> bool:
    return len(re.findall(r"[a-z]{2,}", text)) >= 3 and not text.startswith(_NO_REASON)


@pytest.mark.parametrize("pattern", _JUDGES)
def test_each_sentence_that_is_written_where_it_is_judged_has_its_chinese(pattern: str) -> None:
    found = [
        text
        for path in sorted(_ROOT.glob(pattern))
        for text in _written(ast.parse(path.read_text(encoding="utf-8")))
        if _is_sentence(text)
    ]
    nested = "the commit is published already"  # in the place of a sentence within one
    lacking = [text for text in found if not any(in_chinese(text.replace("§", one)) for one in ("§", nested))]
    assert lacking == []


@pytest.mark.parametrize("english", SENTENCES)
def test_a_pattern_and_its_chinese_have_the_same_slots(english: str) -> None:
    assert sorted(_SLOT.findall(english)) == sorted(re.findall(r"\{(\w+)\}", SENTENCES[english]))


def test_what_is_no_such_sentence_is_shown_as_it_was_written_and_as_english() -> None:
    assert texts.told("something <new>") == '<bdi lang="en">something &lt;new&gt;</bdi>'
    assert 'lang="zh">许可证 &lt;x&gt; 不在' in texts.told("licence <x> is not in licenses.allow")


@settings(deadline=None)
@given(st.lists(st.sampled_from([*SENTENCES, "; ", ", ", " (", "): ", " is ", " and 3 more", "x"]), max_size=40))
def test_whatever_a_sentence_holds_it_is_read_within_bounds(parts: list[str]) -> None:
    in_chinese("".join(parts)[:400])

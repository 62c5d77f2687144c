"""What rules say of a repo, in Chinese: the sentences of `domain/policy` and of those who judge beside it, as patterns.

A reason is written once, in English, by whoever decides; it stands in documents that are read years later. So it is
known again here by its words, by the first pattern that fits. `{x}` stands for what is said about (names, figures,
times), and is repeated as it is; `{*x}` for one of these sentences, or several with `; ` between them; `{+x}` for
several with commas between them. What is no such sentence, such as one that was cut, has no Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

_MOST_TRIES = 2000  # of places where a word of a pattern may be: a sentence may hold anybody's words
_SLOT = re.compile(r"\{([*+]?)(\w+)\}")

SENTENCES: dict[str, str] = {
    # licences
    "licence {ids} is not in licenses.allow with this license_link": (
        "许可证 {ids} 及其 license_link 不在 licenses.allow 中"
    ),
    "licence {ids} is not in licenses.allow": "许可证 {ids} 不在 licenses.allow 中",
    "licence {ids} is in licenses.allow": "许可证 {ids} 在 licenses.allow 中",
    "licence {ids} is in licenses.review": "许可证 {ids} 在 licenses.review 中",
    "licence {ids} is not named (license_name)": "许可证 {ids} 没有名称（license_name）",
    "licence {ids} comes without a license_link": "许可证 {ids} 没有 license_link",
    "licence {ids} allows whole copies only, and the job selects files": (
        "许可证 {ids} 只允许完整复制，而任务只选取部分文件"
    ),
    "the card says licence {card}, the tags say {tags}": "卡片中的许可证为 {card}，标签中为 {tags}",
    "no licence is stated, and licenses.missing is allow": "未声明许可证，licenses.missing 为 allow",
    "no licence is stated, and licenses.missing is refuse": "未声明许可证，licenses.missing 为 refuse",
    "no licence is stated: approve the repo by name in licenses.approved": (
        "未声明许可证：请在 licenses.approved 中按名称批准该仓库"
    ),
    "once a person has read it, approve the repo by name in licenses.approved": (
        "请在阅读后于 licenses.approved 中按名称批准该仓库"
    ),
    "the licence could not be read: {why}": "无法读取许可证：{why}",
    "the upstream has disabled the repo": "上游已停用该仓库",
    "private: name it explicitly or approve it": "私有仓库：请按名称指定或批准",
    "gated: name it explicitly or approve it": "需授权访问：请按名称指定或批准",
    "the upstream does not say whether it is private: name it explicitly or approve it": (
        "上游未说明是否为私有仓库：请按名称指定或批准"
    ),
    "the upstream does not say whether it is gated: name it explicitly or approve it": (
        "上游未说明是否需授权访问：请按名称指定或批准"
    ),
    "pushed by {by}: the job that publishes it judges its licence": "由 {by} 推送：许可证由发布它的任务判定",
    # what people decided
    "approved by {who} ({*said})": "已批准，{who}（{said}）",
    "rejected by {who}": "已否决，{who}",
    # rules of the house
    "policy.forbidden has {pattern}": "policy.forbidden 中列有 {pattern}",
    "nothing of policy.forbidden names it": "不在 policy.forbidden 之列",
    "policy.restricted has {pattern}: {*said}": "policy.restricted 中列有 {pattern}：{said}",
    "each commit of it waits for a decision": "每个提交都需审批",
    "it waits for a decision": "等待审批",
    "nothing of policy.restricted names it": "不在 policy.restricted 之列",
    "the commit is published already": "该提交已发布",
    "policy.cooldown is {length}, and nobody tells when the commit was made": (
        "policy.cooldown 为 {length}，但无从得知提交时间"
    ),
    "the commit counts from {made}: {*said}": "该提交自 {made} 起计，{said}",
    "policy.cooldown ({length}) holds it until {ready}": "按 policy.cooldown（{length}）需等到 {ready}",
    "it counts from {made}, more than {length} ago": "自 {made} 起计，已超过 {length}",
    "nobody has asked which base model it was made of": "尚未查询其基础模型",
    "its card names {count} base models, and no more than {most} are asked for": (
        "卡片列出 {count} 个基础模型，最多查询 {most} 个"
    ),
    "of its base model {name}: {*said}": "其基础模型 {name}：{said}",
    "the licence of base model {names} is allowed": "基础模型 {names} 的许可证允许收录",
    "its card names no base model": "卡片未列出基础模型",
    "it is no repo of a hub, so that nobody can read its licence": "不是 Hub 上的仓库，无法读取其许可证",
    # classes of files, and scans
    "files by class: none": "没有文件",
    "files by class: {counts}": "文件类别：{counts}",
    "policy.formats holds {of}: {files} and {more} more": "policy.formats 暂扣 {of}：{files} 等，另有 {more} 个",
    "policy.formats holds {of}: {files}": "policy.formats 暂扣 {of}：{files}",
    "policy.formats refuses {of}: {files} and {more} more": "policy.formats 拒绝 {of}：{files} 等，另有 {more} 个",
    "policy.formats refuses {of}: {files}": "policy.formats 拒绝 {of}：{files}",
    "no scanner was asked": "未设扫描程序",
    "{scanner} ({at}): {files} files clean": "{scanner}（{at}）：{files} 个文件未发现问题",
    "{scanner} ({at}): {+found} and {more} more": "{scanner}（{at}）：{found}，另有 {more} 个",
    "{scanner} ({at}): {+found}": "{scanner}（{at}）：{found}",
    "{path} is suspicious ({why})": "{path} 可疑（{why}）",
    "{path} is dangerous ({why})": "{path} 危险（{why}）",
    "{path} is not scanned ({why})": "{path} 未扫描（{why}）",
    "{path} is failed ({why})": "{path} 扫描失败（{why}）",
    "{path} is suspicious": "{path} 可疑",
    "{path} is dangerous": "{path} 危险",
    "{path} is not scanned": "{path} 未扫描",
    "{path} is failed": "{path} 扫描失败",
    # the guard, and doubts of what an upstream tells
    "it lists no file, where {count} are published; guard.max_removed is {share}": (
        "没有任何文件，而已发布的有 {count} 个；guard.max_removed 为 {share}"
    ),
    "it removes {gone} of {count} published files; guard.max_removed is {share}": (
        "删除了已发布的 {count} 个文件中的 {gone} 个；guard.max_removed 为 {share}"
    ),
    "commit {commit}: {*said}": "提交 {commit}：{said}",
    "the name belongs to another repo now ({now}) than the one that was published ({then}): if the new one is meant, "
    "add '{word}' to guard.accept of the job": (
        "此名称现属于另一仓库（{now}），并非此前发布的仓库（{then}）："
        "如确需新仓库，请将 '{word}' 加入任务的 guard.accept"
    ),
    "{endpoint}, which is not the first of endpoints, has {revision} at {commit}, {*age}: if that is meant, add "
    "'{move}' to guard.accept of the job": (
        "并非首选的端点 {endpoint} 上，{revision} 为 {commit}，{age}：如确需采用，请将 '{move}' 加入任务的 guard.accept"
    ),
    "which is older than {commit}": "早于 {commit}",
    "which was published before under another name, or given up for {commit}": "曾以其他名称发布，或已被 {commit} 取代",
    "and does not show that this is newer than {commit}": "且无法确认新于 {commit}",
    "the snapshot published before stays": "此前发布的快照予以保留",
    "what was published is withdrawn": "此前发布的内容已撤下",
    # what a job takes
    "{pattern} under repos of job {job} denies it": "任务 {job} 的 repos 中 {pattern} 将其排除",
    "{by} is under variants.without, or denied": "{by} 在 variants.without 之列，或已被排除",
    "it has none of {quants}: it has {shown}": "没有 {quants}，只有 {shown}",
    "variants.limit is {limit}, and so many are downloaded more": "variants.limit 为 {limit}，已有足够多下载量更高的",
    "it is no variant, but the model itself": "不是变体，而是模型本身",
    "its name does not say that it is a GGUF of the model that its card names": (
        "名称未表明它是卡片所列模型的 GGUF 版本"
    ),
    "{owner} is not among variants.authors": "{owner} 不在 variants.authors 之列",
    "{files} has no SHA-256 at the upstream, so that nothing proves what is downloaded; leave out what is not needed, "
    "or set unproved: accept on the upstream": (
        "{files} 在上游没有 SHA-256，下载内容无从证明；请排除不需要的文件，或在上游设置 unproved: accept"
    ),
    "{files} have no SHA-256 at the upstream, so that nothing proves what is downloaded; leave out what is not needed, "
    "or set unproved: accept on the upstream": (
        "{files} 在上游没有 SHA-256，下载内容无从证明；请排除不需要的文件，或在上游设置 unproved: accept"
    ),
    "{files} has no SHA-256 at the upstream: two downloads over two connections agree, or one and what is here": (
        "{files} 在上游没有 SHA-256：两次独立下载一致，或与本站已有内容一致"
    ),
    "{files} have no SHA-256 at the upstream: two downloads over two connections agree, or one and what is here": (
        "{files} 在上游没有 SHA-256：两次独立下载一致，或与本站已有内容一致"
    ),
    # why there is no torrent
    "it has more files than one torrent can name, which are {most} at the most": "文件数超过一个种子的上限 {most}",
    "it has no byte": "没有任何内容",
    "it is too large: its pieces would have more hashes than clients read": "体积过大，分块数超过客户端可读取的上限",
    "{path} has {char} in its name, which not all clients take": "{path} 的名称含 {char}，部分客户端不接受",
    "{path} has a name of more than {most} bytes, which not all clients take": (
        "{path} 的名称超过 {most} 字节，部分客户端不接受"
    ),
    "{path} has a name with a space or dot at its edge, which not all clients take": (
        "{path} 的名称首尾有空格或句点，部分客户端不接受"
    ),
}


class _TooMany(Exception):
    """A sentence that could be meant in too many ways."""


class _SentenceReading:
    """One reading of a sentence, with the tries that it has left, and what it has made of parts of it."""

    def __init__(self) -> None:
        self._left = _MOST_TRIES
        self._known: dict[tuple[str, str], str | None] = {}

    def said(self, text: str) -> str | None:
        """Of one sentence, or of several; where it may be either it is several: what a slot holds may look like one."""
        return self._parted(text, "; ", "；")

    def listed(self, text: str) -> str | None:
        """Of sentences with commas between them."""
        return self._parted(text, ", ", "，")

    def _parted(self, text: str, between: str, chinese: str) -> str | None:
        if (text, between) not in self._known:
            self._known[text, between] = self._parts(text, between, chinese) or self._one(text)
        return self._known[text, between]

    def _parts(self, text: str, between: str, chinese: str) -> str | None:
        """The first part is as short as can be."""
        at = text.find(between)
        while at >= 0:
            self._count()
            first = self._one(text[:at])
            rest = None if first is None else self._parted(text[at + len(between) :], between, chinese)
            if rest is not None:
                return f"{first}{chinese}{rest}"
            at = text.find(between, at + 1)
        return None

    def _one(self, text: str) -> str | None:
        for english, pieces in _PATTERNS:
            for values in self._bound(pieces, text, 0):
                filled = self._filled(SENTENCES[english], pieces, values)
                if filled is not None:
                    return filled
        return None

    def _filled(self, chinese: str, pieces: tuple[str, ...], values: list[str]) -> str | None:
        known: dict[str, str] = {}
        for (kind, name), value in zip(_slots(pieces), values, strict=True):
            made = self.said(value) if kind == "*" else self.listed(value) if kind == "+" else value
            if made is None:
                return None
            known[name] = made
        return _SLOT.sub(lambda slot: known[slot[2]], chinese)

    def _bound(self, pieces: tuple[str, ...], text: str, at: int, index: int = 0) -> Iterator[list[str]]:
        """Every way in which the pieces of a pattern stand in the text from there on: words and slots by turns."""
        end = at + len(pieces[index])
        if not text.startswith(pieces[index], at):
            return
        if index + 1 == len(pieces):
            if end == len(text):
                yield []
            return
        following, last = pieces[index + 2], index + 3 == len(pieces)
        found = max(text.rfind(following), end) if last else text.find(following, end + 1)
        while found > end:
            self._count()
            for rest in self._bound(pieces, text, found, index + 2):
                yield [text[end:found], *rest]
            found = -1 if last else text.find(following, found + 1)

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _TooMany


@lru_cache(maxsize=4096)
def in_chinese(sentence: str) -> str | None:
    """What rules say, in Chinese; None for what is none of their sentences."""
    try:
        return _SentenceReading().said(sentence)
    except _TooMany:
        return None


def _slots(pieces: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    return ((piece[0] if piece[0] in "*+" else "", piece.lstrip("*+")) for piece in pieces[1::2])


def _pieces(english: str) -> tuple[str, ...]:
    """Words and slots by turns, words first and last."""
    kept, at = [], 0
    for slot in _SLOT.finditer(english):
        kept += [english[at : slot.start()], slot[1] + slot[2]]
        at = slot.end()
    return (*kept, english[at:])


_PATTERNS = tuple((english, _pieces(english)) for english in SENTENCES)

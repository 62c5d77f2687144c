"""Every text of the catalogue's pages, in English and in Chinese: this is the file that a translator needs.

`{n}` and the like are filled in. An English text of two parts, `one|many`, goes by `n`; Chinese has no plural.
Both languages stand in the page, and its style shows one of them.
"""

from __future__ import annotations

from functools import cache

from markupsafe import Markup, escape

from mirror_sync.catalogue import formats

LANGUAGES = ("en", "zh")
_SPAN = Markup('<span class="t" lang="{}">{}</span>')

TEXTS: dict[str, tuple[str, str]] = {
    # every page
    "brand": ("Model mirror", "模型镜像"),
    "skip": ("Skip to the content", "跳到正文"),
    "nav": ("Site", "站点"),
    "nav.catalogue": ("Catalogue", "目录"),
    "nav.mirror": ("Status", "运行状况"),
    "language": ("Language", "语言"),
    "theme": ("Colours", "配色"),
    "theme.auto": ("Auto", "自动"),
    "theme.light": ("Light", "浅色"),
    "theme.dark": ("Dark", "深色"),
    "footer": (
        "Every file here was proved by its SHA-256 before it was published.",
        "此处的每个文件在发布前都经过 SHA-256 校验。",
    ),
    "copy": ("Copy", "复制"),
    "copied": ("Copied", "已复制"),
    "not-copied": ("Select the text and copy it by hand", "请手动选中文本并复制"),
    "fill-in": ("Put this site’s address in place of {placeholder}.", "请将 {placeholder} 替换为本站的地址。"),
    # kinds, states and outcomes
    "kind.model": ("model", "模型"),
    "kind.dataset": ("dataset", "数据集"),
    "kind.space": ("space", "空间"),
    "kind.kernel": ("kernel", "内核"),
    "state.published": ("published", "已发布"),
    "state.unchanged": ("up to date", "已是最新"),
    "state.failed": ("failed", "失败"),
    "state.gated": ("access needed", "需要授权"),
    "state.gone": ("gone upstream", "上游已移除"),
    "state.held": ("held", "暂不发布"),
    "state.refused": ("refused", "不予镜像"),
    "state.dormant": ("comes when asked for", "按需恢复"),
    "state.interrupted": ("on its way", "正在同步"),
    "state.elsewhere": ("published elsewhere", "发布在别处"),
    "state.never": ("not yet read", "尚未同步"),
    "run.running": ("running", "进行中"),
    "run.complete": ("complete", "完成"),
    "run.failed": ("some repos failed", "部分仓库失败"),
    "run.interrupted": ("interrupted", "已中断"),
    "run.partly": ("ended, not everything is here", "已结束，尚有缺口"),
    "run.paused": ("paused", "已暂停"),
    # why a repo is not here, before the reason as it was written
    "why.held": ("Waits for approval", "等待审批"),
    "why.refused": ("Not allowed here", "本站不予镜像"),
    "why.licence": ("Its licence is not allowed here", "其许可证不在本站允许范围内"),
    "why.gated": ("The upstream gives it only to accounts it has admitted", "上游只向已获授权的账号提供"),
    # columns and figures
    "name": ("Name", "名称"),
    "kind": ("Kind", "类型"),
    "licence": ("Licence", "许可证"),
    "task": ("Task", "任务"),
    "library": ("Library", "程序库"),
    "files": ("Files", "文件数"),
    "size": ("Size", "大小"),
    "state": ("State", "状态"),
    "published": ("Published", "发布时间"),
    "committed": ("Committed", "提交时间"),
    "commit": ("Commit", "提交"),
    "n.repos": ("{n} repo|{n} repos", "{n} 个仓库"),
    "n.files": ("{n} file|{n} files", "{n} 个文件"),
    "unit.d": ("d", "天"),
    "unit.h": ("h", "小时"),
    "unit.min": ("min", "分钟"),
    "unit.s": ("s", "秒"),
    # home
    "home.lead": (
        "Models and datasets stored here, ready for the usual tools.",
        "本站保存的模型与数据集，可直接用常用工具下载。",
    ),
    "home.use": ("Point your tools here", "让工具使用本站"),
    "home.published": ("{n} repo published|{n} repos published", "已发布 {n} 个仓库"),
    "home.complete": ("complete", "完整"),
    "home.gaps": ("{n} gap|{n} gaps", "{n} 处缺口"),
    "home.recent": ("Newest publications", "最近发布"),
    "home.find": ("Find", "查找"),
    "home.search": ("Search by name", "按名称搜索"),
    "home.repos": ("Repos", "仓库列表"),
    "home.first": ("The first {n} by name; the others are below.", "按名称排列的前 {n} 个；其余见下方。"),
    "home.all": ("The whole list, by name", "按名称分页的完整列表"),
    "home.none": ("Nothing is mirrored yet.", "尚无镜像内容。"),
    "home.nothing": ("No repo fits.", "没有符合条件的仓库。"),
    "home.reset": ("Clear", "清除条件"),
    "home.more": ("Show more", "显示更多"),
    "home.any-kind": ("All kinds", "所有类型"),
    "home.any-licence": ("All licences", "所有许可证"),
    "home.any-task": ("All tasks", "所有任务"),
    "home.any-state": ("All states", "所有状态"),
    "home.any-size": ("Any size", "任意大小"),
    "home.size-s": ("under 1 GB", "小于 1 GB"),
    "home.size-m": ("1 to 10 GB", "1 至 10 GB"),
    "home.size-l": ("10 to 100 GB", "10 至 100 GB"),
    "home.size-xl": ("100 GB and more", "100 GB 及以上"),
    "home.count": ("{found} of {all} repos", "共 {all} 个仓库，符合 {found} 个"),
    "home.loading": ("Reading the list …", "正在读取列表……"),
    "home.broken": (
        "A part of the list could not be read; reload the page to try again.",
        "部分列表未能读取，请刷新页面重试。",
    ),
    # a page of the list
    "list.title": ("Repos by name", "按名称排列的仓库"),
    "list.range": ("{first} to {last}", "{first} 至 {last}"),
    "list.previous": ("Previous", "上一页"),
    "list.next": ("Next", "下一页"),
    "list.pages": ("Pages of the list", "列表分页"),
    # a repo
    "repo.upstream": ("Upstream", "上游"),
    "repo.verdict": ("Verdict", "判定"),
    "repo.pushed": ("What was pushed", "推送信息"),
    "repo.pushed-by": ("Pushed by {by}", "推送者：{by}"),
    "repo.made-from": ("Made from {source} by {tool}", "由 {source} 经 {tool} 生成"),
    "repo.verdicts": ("Under which rules it is here", "依据哪些规则收录"),
    "repo.verdicts-of": ("What was said of commit {commit} when it was published;", "提交 {commit} 发布时的判定；"),
    "repo.verdicts-json": ("the same as JSON", "同一内容（JSON）"),
    "repo.rule": ("Rule", "规则"),
    "repo.outcome": ("Outcome", "结果"),
    "outcome.allowed": ("allowed", "允许"),
    "outcome.held": ("held", "暂不发布"),
    "outcome.refused": ("refused", "不予镜像"),
    "repo.signed": ("signed", "已签名"),
    "repo.scanned": ("scanned", "已扫描"),
    "runs.pickle": ("{n} pickle|{n} pickles", "{n} 个 pickle 文件"),
    "runs.code": ("{n} file of code|{n} files of code", "{n} 个代码文件"),
    "runs.executable": ("{n} executable|{n} executables", "{n} 个可执行文件"),
    "repo.check": ("Check it by hand", "自行校验"),
    "repo.check-how": (
        "It takes {signers}, which the operator gives you by another way, and files of commit {commit} in {folder}.",
        "需要管理员通过其他途径提供的 {signers}，以及放在目录 {folder} 中的提交 {commit} 的文件。",
    ),
    "repo.allowed": ("Allowed here", "允许镜像"),
    "repo.gone": ("Gone upstream", "上游已移除"),
    "repo.gone-kept": ("What was published before stays here.", "此前发布的内容仍保留在本站。"),
    "repo.get": ("Get it", "获取"),
    "repo.python": ("Python", "Python"),
    "repo.shell": ("Command line", "命令行"),
    "repo.curl": ("One file with curl", "用 curl 下载单个文件"),
    "repo.modelscope": ("ModelScope's client", "ModelScope 客户端"),
    "repo.skopeo": ("From the registry, with skopeo", "用 skopeo 从镜像仓库获取"),
    "repo.podman": ("As an image to mount, with podman", "作为可挂载的镜像（podman）"),
    "repo.ollama": ("Ollama", "Ollama"),
    "repo.torrent": ("As a torrent, with aria2", "用 aria2 以 BitTorrent 方式获取"),
    "repo.s3": ("By S3, with s5cmd", "用 s5cmd 通过 S3 获取"),
    "repo.llama": ("llama.cpp", "llama.cpp"),
    "repo.no-registry": (
        "It is not in the registry (/v2/): no client of registries takes a name like this one.",
        "不在镜像仓库（/v2/）中：没有客户端接受这样的名称。",
    ),
    "repo.no-torrent": ("There is no torrent of it: {why}.", "没有对应的种子文件：{why}。"),
    "repo.ask": ("If you need it, ask the operator of this site.", "如有需要，请联系本站管理员。"),
    "repo.asked": ("What the jobs make of it", "各同步任务的处理结果"),
    "repo.job": ("Job", "同步任务"),
    "repo.revision": ("Revision", "版本"),
    "repo.reason": ("Reason", "原因"),
    "repo.files": ("Files", "文件"),
    "repo.files-of": ("Files of commit {commit}", "提交 {commit} 的文件"),
    "repo.left": ("Left out here, by the mirror's patterns:", "本镜像按筛选规则未收录："),
    "repo.left-exclude": (
        "{n} file ({size}) that matches {patterns}|{n} files ({size}) that match {patterns}",
        "{n} 个文件（{size}）：匹配排除规则 {patterns}",
    ),
    "repo.left-include": (
        "{n} file ({size}) that is none of {patterns}|{n} files ({size}) that are none of {patterns}",
        "{n} 个文件（{size}）：不在收录范围 {patterns} 之内",
    ),
    "repo.left-unknown": (
        "Only a part of this repo may be here: {patterns}. How much is left out is known from its next commit on.",
        "此仓库可能只收录了一部分：{patterns}。未收录的数量将在其下一次提交后得知。",
    ),
    "repo.path": ("Path", "路径"),
    "repo.runs": (
        "{n} file runs code when it is loaded|{n} files run code when they are loaded",
        "{n} 个文件在加载时会执行代码",
    ),
    "repo.may-run": (
        "{n} file, by its name, runs code when it is loaded|{n} files, by their names, run code when they are loaded",
        "按文件名判断，{n} 个文件在加载时可能执行代码",
    ),
    "repo.some": ("The first {n} of {all} files;", "共 {all} 个文件，此处列出前 {n} 个；"),
    "repo.listing": ("the whole listing as JSON", "完整清单（JSON）"),
    "repo.unread": (
        "What is published of this repo cannot be read at present.",
        "本站所存此仓库的元数据目前无法读取。",
    ),
    "repo.nothing": ("No file of this repo is published here.", "本站尚未发布此仓库的文件。"),
    "repo.snapshots": ("Snapshots", "快照"),
    "repo.names": ("Channels, branches and tags", "频道、分支与标签"),
    "repo.title": ("Title", "标题"),
    "repo.root": ("Root document", "根文档"),
    "repo.moves": ("Who moved which name", "名称变更记录"),
    "repo.moved-at": ("When", "时间"),
    "repo.name": ("Name", "名称"),
    "repo.from": ("From", "原提交"),
    "repo.to": ("To", "新提交"),
    "repo.by": ("By", "操作者"),
    # wishes
    "ask.title": ("Ask for it", "申请镜像"),
    "ask.link": ("Ask the people who run this mirror", "联系本站管理员"),
    "ask.repo": ("Which repo, as org/name or dataset:org/name", "仓库名称，如 org/name 或 dataset:org/name"),
    "ask.send": ("Ask for it", "提交申请"),
    "ask.wanted": ("What others have asked for", "大家申请的仓库"),
    "asked.title": ("Your wish", "镜像申请"),
    "asked.noted": (
        "It is noted. Whoever runs this mirror sees it, and decides.",
        "已记录。本站管理员会看到并决定是否镜像。",
    ),
    "asked.allowed": (
        "It is noted, and its licence is allowed here. Whoever runs this mirror sees it, and decides.",
        "已记录，其许可证在本站允许范围内。本站管理员会看到并决定是否镜像。",
    ),
    "asked.held": (
        "It is noted. By its licence, or its other terms, a person has to look at it first.",
        "已记录。按其许可证或其他条款，需要先由人工审核。",
    ),
    "asked.refused": (
        "It is noted, but by the rules of this mirror, mostly for its licence, it cannot be mirrored as it is.",
        "已记录，但按本站规则（多为许可证原因），目前不能镜像。",
    ),
    "asked.later": ("Too many ask at once. Please try again in a minute.", "申请过多，请稍后再试。"),
    "asked.bad": ("This is no name of a repo. Write org/name.", "仓库名称无效，请写成 org/name。"),
    "asked.undone": (
        "It could not be noted now, since a part of this mirror is not running. Please try again later.",
        "本站部分服务未运行，暂时无法记录，请稍后再试。",
    ),
    "wanted.title": ("Wanted", "待镜像"),
    "wanted.lead": (
        "What readers have asked for and what is not mirrored here, as of the last run.",
        "读者申请而本站尚未镜像的仓库，截至上次同步。",
    ),
    "wanted.none": ("Nobody has asked for anything yet.", "尚无申请。"),
    "wanted.count": ("Asked", "次数"),
    "wanted.askers": ("By", "人数"),
    "wanted.last": ("Last", "最近"),
    "wanted.verdict": ("What the rules say", "规则判定"),
    # for what is not here
    "missing.title": ("Not found here", "本站未找到此内容"),
    "missing.lead": (
        "Nothing is at this address. Look for a repo by name, or ask the operator to mirror it.",
        "此地址下没有内容。请按名称查找仓库，或请管理员添加镜像。",
    ),
    "missing.all": ("Everything that is mirrored here", "本站镜像的全部内容"),
    # the mirror
    "mirror.title": ("State of the mirror", "镜像运行状况"),
    "mirror.complete": (
        "Complete: everything that is asked for is here.",
        "完整：所需内容均已镜像。",
    ),
    "mirror.gaps": (
        "{n} gap: not everything that is asked for is here.|{n} gaps: not everything that is asked for is here.",
        "有 {n} 处缺口：所需内容尚未全部镜像。",
    ),
    "gaps.title": ("Gaps", "缺口"),
    "gaps.more": ("And {n} more.", "另有 {n} 处。"),
    "gaps.find": ("In the catalogue:", "在目录中查看："),
    "mirror.verified": ("Last checked by SHA-256", "上次按 SHA-256 校验："),
    "mirror.whole": ("nothing was wrong.", "未发现错误。"),
    "mirror.faults": ("{n} file was wrong.|{n} files were wrong.", "{n} 个文件有误。"),
    "mirror.unverified": (
        "What is stored has not been checked again since it was published.",
        "发布后尚未重新校验过。",
    ),
    "mirror.pruned": ("Old versions last removed", "上次清理旧版本："),
    "mirror.replica": ("Copy {name}: has all up to", "副本 {name}：内容截至"),
    "mirror.replica.never": ("Copy {name}: not whole yet.", "副本 {name}：尚未完整。"),
    "mirror.unusual": (
        "On {day} {n} client was unusual by what it read.|On {day} {n} clients were unusual by what they read.",
        "{day} 有 {n} 个客户端的读取行为异常。",
    ),
    "front.title": ("The front, last 24 hours", "前端，最近 24 小时"),
    "front.requests": ("Answers", "应答"),
    "front.sent": ("Sent", "已发送"),
    "front.failed": ("Failed (5xx)", "失败（5xx）"),
    "front.half": ("First byte, half", "首字节（半数）"),
    "front.most": ("First byte, 95 %", "首字节（95%）"),
    "front.watched": ("Counted for", "统计时长："),
    "front.caches": ("Found in the cache:", "缓存命中率："),
    "mirror.at": ("As of", "截至"),
    "mirror.repos": ("Repos", "仓库"),
    "mirror.bytes": ("Stored", "总量"),
    "mirror.median": ("Lag, median", "延迟（中位数）"),
    "mirror.worst": ("Lag, worst", "延迟（最长）"),
    "mirror.lag": (
        (
            "Lag: from a commit upstream until it could be read here ({n} publication)."
            "|Lag: from a commit upstream until it could be read here (the last {n} publications)."
        ),
        "延迟：从上游提交到本站可读取的时间，按最近 {n} 次发布统计。",
    ),
    "mirror.no-lag": ("No publication to tell the lag from yet.", "尚无发布记录，无法计算延迟。"),
    "mirror.jobs": ("Jobs", "同步任务"),
    "mirror.no-jobs": ("No job is configured.", "尚未配置任务。"),
    "mirror.schedule": ("Schedule", "计划"),
    "mirror.by-hand": ("by hand", "手动"),
    "mirror.mirrored": ("Mirrored", "已镜像"),
    "mirror.last": ("Last run", "上次运行"),
    "mirror.took": ("Took", "用时"),
    "mirror.outcome": ("Outcome", "结果"),
    "mirror.next": ("Next run", "下次运行"),
    "mirror.due": ("due", "即将开始"),
    "mirror.json": ("The same for programs:", "供程序读取："),
    "chart.growth": ("Growth: bytes stored at the end of each day", "增长：每日结束时的总字节数"),
    "chart.growth-is": (
        "From {first} on {from_day} to {last} on {to_day}.",
        "从 {from_day} 的 {first} 到 {to_day} 的 {last}。",
    ),
    "chart.growth-begins": (
        "{last} on {to_day}, the only day so far; the line begins with a second one.",
        "{to_day}：{last}。目前仅有这一天的记录，自第二天起绘制曲线。",
    ),
    "chart.traffic": ("Traffic: bytes read each day", "流量：每日读取的字节数"),
    "chart.traffic-is": (
        "{total} in all from {from_day} to {to_day}; at most {most} on {most_day}.",
        "{from_day} 至 {to_day} 共 {total}；最多为 {most_day} 的 {most}。",
    ),
    "chart.traffic-begins": ("{total} on {day}, the only day so far.", "{day}：{total}。目前仅有这一天的记录。"),
    "chart.nothing": ("Nothing is known yet.", "暂无记录。"),
    "chart.table": ("As a table", "以表格显示"),
    "chart.day": ("Day (UTC)", "日期（UTC）"),
    "chart.bytes": ("Bytes", "字节"),
    "chart.downloads": ("Downloads", "下载次数"),
    "chart.clients": ("Clients", "客户端数"),
}


def text(key: str, **values: object) -> Markup:
    """The text in both languages, of which a reader sees one. KeyError for a text that nobody wrote."""
    return _filled(key, values) if values else _bare(key)


def named(prefix: str, word: str) -> Markup:
    """The text of a word of ours; a word that is none is shown as it is."""
    key = f"{prefix}.{word}"
    return text(key) if key in TEXTS else escape(word)


def span(seconds: float) -> Markup:
    """A length of time with its units in both languages."""
    english = formats.span(seconds).split(" ")
    chinese = [TEXTS[f"unit.{word}"][1] if f"unit.{word}" in TEXTS else word for word in english]
    return _SPAN.format("en", " ".join(english)) + _SPAN.format("zh", " ".join(chinese))


def plain(key: str) -> dict[str, str]:
    """The text by language, for where there can be no markup."""
    return dict(zip(LANGUAGES, TEXTS[key], strict=True))


@cache
def _bare(key: str) -> Markup:
    return _filled(key, {})


def _filled(key: str, values: dict[str, object]) -> Markup:
    """Values are escaped by Markup's format, unless they are markup."""
    english, chinese = TEXTS[key]
    if "|" in english:
        english = english.split("|")[values.get("n") != 1]
    shown = {name: formats.count(value) if isinstance(value, int) else value for name, value in values.items()}
    return _SPAN.format("en", Markup(english).format(**shown)) + _SPAN.format("zh", Markup(chinese).format(**shown))  # noqa: S704  ours

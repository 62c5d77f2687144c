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
    "kind.kernel": ("kernel", "计算内核"),
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
    "run.partly": ("ended, some are not here yet", "已结束，部分尚未收录"),
    "run.paused": ("paused", "已暂停"),
    # why a repo is not here: by the code of its reason, with its state where that matters, else by the state alone
    "reason.failed": ("The last attempt to bring it failed", "上次同步失败"),
    "reason.gated": (
        "Its upstream gives it only to accounts it has admitted, and this mirror has none",
        "上游只向已获授权的账号提供，本站尚未获授权",
    ),
    "reason.gone": ("Its upstream no longer gives it", "上游已不再提供"),
    "reason.held": ("Waits for a person to look at it", "等待人工审核"),
    "reason.refused": ("The rules of this mirror do not allow it", "按本站规则不予镜像"),
    "reason.dormant": (
        "Nobody had read it for long, and room was needed; it comes back when somebody asks for it",
        "长期无人读取，为腾出空间已移出；有人请求时会恢复",
    ),
    "reason.interrupted": ("It is on its way: the next run goes on with it", "正在同步，下次运行将继续"),
    "reason.elsewhere": (
        "It lies in the place that this mirror used before, and moves at the next run",
        "存放在本站先前的存储位置，下次运行时迁移",
    ),
    "reason.never": ("No run has looked at it yet", "尚未同步过"),
    "reason.license.held": ("Somebody has to look at its licence first", "其许可证需先由人工审核"),
    "reason.license.refused": ("Its licence is not allowed here", "其许可证不在本站允许范围内"),
    "reason.license-unread": ("Its licence could not be read", "无法读取其许可证"),
    "reason.private": (
        "It is private upstream, and is brought only where it is asked for by its name",
        "在上游为私有仓库，须由管理员按名称指定后才会镜像",
    ),
    "reason.gated.held": (
        "Its upstream asks readers for their consent, so somebody has to look at its terms first",
        "上游要求读者同意其条款，需先由人工审核",
    ),
    "reason.restricted": ("This mirror looks at repos like this one by hand first", "此类仓库需先由人工审核"),
    "reason.forbidden": ("This mirror does not take repos like this one", "本站不收录此类仓库"),
    "reason.formats.held": (
        "Some of its files can run code; somebody has to look first",
        "部分文件可执行代码，需先人工审核",
    ),
    "reason.formats.refused": (
        "Some of its files can run code, which is not allowed here",
        "部分文件可执行代码，本站不允许",
    ),
    "reason.scan.held": (
        "A scan for malware was not clean or not complete; somebody has to look",
        "恶意代码扫描未通过或未完成，需人工审核",
    ),
    "reason.scan.refused": ("A scan for malware found something in it", "恶意代码扫描发现问题"),
    "reason.cooldown": (
        "It is too new: this mirror waits some days with every new version",
        "版本过新：本站对新版本设有等待期",
    ),
    "reason.base_model": (
        "The licence of the model it was made from has to be looked at",
        "其基础模型的许可证需人工审核",
    ),
    "reason.guard": (
        "Its upstream took away many files at once; somebody has to look before that is followed here",
        "上游一次删除了大量文件，需人工确认后才会跟进",
    ),
    "reason.another-repo": (
        "Upstream another repo goes by this name now; somebody has to look",
        "上游已有另一个仓库使用此名称，需人工确认",
    ),
    "reason.rejected": ("The people who run this mirror decided against it", "本站管理员已决定不予镜像"),
    "reason.denied": ("This mirror does not take this version or repo", "本站不收录此仓库或此版本"),
    "reason.withdrawn": ("The people who run this mirror took it down", "本站管理员已将其撤下"),
    "reason.let-go": (
        "Nobody had read it for long, and room was needed; it comes back when somebody asks for it",
        "长期无人读取，为腾出空间已移出；有人请求时会恢复",
    ),
    "reason.second-hand": (
        "Its upstream did not answer, and what others say is asked again soon",
        "上游未应答，其他来源的信息稍后将再次核对",
    ),
    "reason.stale-endpoint": ("What answered has an older version than the one here", "应答的来源版本比本站更旧"),
    "reason.lost": ("It is not there any more: the next run publishes it", "已不在存储中，下次运行将重新发布"),
    "reason.unread": ("What is stored of it cannot be read at present", "本站所存内容目前无法读取"),
    "reason.error": ("The last attempt to bring it failed", "上次同步失败"),
    "reason.config": ("It waits for the people who run this mirror to mend its settings", "等待管理员修正本站配置"),
    "reason.usage": ("It waits for the people who run this mirror to mend its settings", "等待管理员修正本站配置"),
    "reason.upstream": ("Its upstream answered with an error at the last attempt", "上次尝试时上游返回错误"),
    "reason.unreachable": ("Its upstream did not answer at the last attempt", "上次尝试时上游未应答"),
    "reason.rate-limited": ("Its upstream asked to wait at the last attempt", "上次尝试时上游要求稍后再试"),
    "reason.bad-answer": (
        "What its upstream answered at the last attempt could not be understood",
        "上次尝试时上游的应答无法识别",
    ),
    "reason.token-rejected": ("Its upstream did not accept this mirror’s account", "上游未接受本站的账号"),
    "reason.disabled": ("Its upstream has switched it off", "上游已停用该仓库"),
    "reason.not-found-or-private": (
        "Its upstream has no such repo, or does not show it to this mirror",
        "上游没有此仓库，或未对本站开放",
    ),
    "reason.no-such-call": ("Its upstream cannot tell what is needed for it", "上游不支持所需的查询"),
    "reason.revision-not-found": ("Its upstream has no such branch, tag or commit", "上游没有此分支、标签或提交"),
    "reason.file-not-found": ("A file that its upstream lists could not be had there", "上游列出的某个文件无法取得"),
    "reason.unsigned": ("The mirror that it comes from did not sign it", "来源镜像未对其签名"),
    "reason.loop": ("It would come from this mirror itself", "来源就是本站自身"),
    "reason.pointer-only": ("Its upstream has lost the content of one of its files", "上游已丢失其中某个文件的内容"),
    "reason.integrity": (
        "What its upstream sent at the last attempt was not what it had promised",
        "上次收到的内容与上游所承诺的不符",
    ),
    "reason.unsafe-path": ("One of its files has a name that is not safe to store", "其中某个文件名不安全，无法存储"),
    "reason.target": ("This mirror’s store did not take it at the last attempt", "上次尝试时本站存储未能写入"),
    "reason.target-unavailable": ("This mirror’s store did not answer at the last attempt", "上次尝试时本站存储未应答"),
    "reason.target-denied": ("This mirror’s store did not let it be written", "本站存储拒绝写入"),
    "reason.target-full": ("There was no room left for it", "本站存储空间不足"),
    "reason.part-missing": ("A part of what was carried here is missing", "导入的内容不完整"),
    "reason.target-frozen": ("Its files are archived, and have to be brought back first", "其文件已归档，需先恢复"),
    "reason.vanished": (
        "It was here and is not any more; the people who run this mirror have to look",
        "此前存在，现已缺失，需管理员检查",
    ),
    "reason.not-recorded": ("It could not be written into this mirror’s records", "无法写入本站的操作记录"),
    "reason.target-key-missing": ("A part of it is missing in this mirror’s store", "本站存储中缺少其部分内容"),
    "reason.document": ("What is stored of it cannot be read at present", "本站所存内容目前无法读取"),
    "reason.signing": ("It could not be signed", "未能签名"),
    "reason.cluster": ("The machine that was to bring it did not answer", "负责同步的机器未应答"),
    "reason.selection-conflict": (
        "Two settings of this mirror ask for different parts of it",
        "本站的两项设置要求收录其不同部分",
    ),
    # columns and figures
    "name": ("Name", "名称"),
    "kind": ("Kind", "类型"),
    "licence": ("Licence", "许可证"),
    "task": ("Task", "任务"),
    "library": ("Library", "库"),
    "files": ("Files", "文件数"),
    "size": ("Size", "大小"),
    "state": ("State", "状态"),
    "published": ("Published", "发布时间"),
    "committed": ("Committed", "提交时间"),
    "commit": ("Commit", "提交"),
    "n.repos": ("{n} repo|{n} repos", "{n} 个仓库"),
    "n.files": ("{n} file|{n} files", "{n} 个文件"),
    "n.parameters": ("{n} parameters", "{n} 参数"),
    "n.tensors": ("{n} tensor|{n} tensors", "{n} 个张量"),
    "n.downloads": ("{n} download|{n} downloads", "{n} 次下载"),
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
    "home.complete": ("everything asked for is here", "所需内容均已收录"),
    "home.gaps": ("{n} not here yet|{n} not here yet", "{n} 项尚未收录"),
    "home.recent": ("Newest publications", "最近发布"),
    "home.find": ("Find", "查找"),
    "home.search": ("Search names, versions, base models", "搜索名称、版本、基础模型"),
    "home.repos": ("Repos", "仓库列表"),
    "home.first": ("The first {n} by name; the others are below.", "按名称排列的前 {n} 个；其余见下方。"),
    "home.all": ("The whole list, by name", "按名称分页的完整列表"),
    "home.none": ("Nothing is mirrored yet.", "尚无镜像内容。"),
    "home.nothing": ("No repo matches.", "没有符合条件的仓库。"),
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
    "home.sort": ("Sort by", "排序"),
    "sort.name": ("name", "名称"),
    "sort.newest": ("newest here", "最新收录"),
    "sort.oldest": ("longest here", "最早收录"),
    "sort.largest": ("largest", "最大"),
    "sort.smallest": ("smallest", "最小"),
    "sort.parameters": ("most parameters", "参数最多"),
    "sort.downloads": ("most downloaded", "下载最多"),
    # a page of the list
    "list.title": ("Repos by name", "按名称排列的仓库"),
    "list.range": ("{first} to {last}", "{first} 至 {last}"),
    "list.previous": ("Previous", "上一页"),
    "list.next": ("Next", "下一页"),
    "list.pages": ("Pages of the list", "列表分页"),
    # a repo
    "repo.upstream": ("Upstream", "上游"),
    "repo.verdict": ("Decision", "判定"),
    "repo.pushed": ("What was pushed", "推送信息"),
    "repo.pushed-by": ("Pushed by {by}", "推送者：{by}"),
    "repo.made-from": ("Made from {source} by {tool}", "由 {source} 经 {tool} 生成"),
    "repo.verdicts": ("Why it may be here", "收录依据"),
    "repo.verdicts-of": ("What was said of commit {commit} when it was published;", "提交 {commit} 发布时的判定；"),
    "repo.verdicts-json": ("the same as JSON", "同一内容（JSON）"),
    "repo.rule": ("Rule", "规则"),
    "repo.outcome": ("Outcome", "结果"),
    "rule.licence": ("licence", "许可证"),
    "rule.restricted": ("looked at by hand", "人工审核"),
    "rule.forbidden": ("not taken at all", "禁止收录"),
    "rule.cooldown": ("age of the version", "版本等待期"),
    "rule.formats": ("kinds of files", "文件类型"),
    "rule.scan": ("scan for malware", "恶意代码扫描"),
    "rule.base_model": ("licence of its base model", "基础模型的许可证"),
    "rule.guard": ("removed files", "文件删除检查"),
    "allowed.licence": ("Its licence is allowed here", "其许可证允许收录"),
    "allowed.restricted": ("Nobody has to look at it by hand, or somebody has", "无需人工审核，或已审核通过"),
    "allowed.forbidden": ("It is nothing that this mirror does not take", "不属于本站禁止收录的仓库"),
    "allowed.cooldown": ("This version is old enough, or was let in earlier", "版本已过等待期，或已提前放行"),
    "allowed.formats": ("Its kinds of files are allowed here", "文件类型允许收录"),
    "allowed.scan": ("Scanners found nothing in it, or somebody has looked at it", "扫描未发现问题，或已人工确认"),
    "allowed.base_model": ("The licence of what it was made from is allowed", "其基础模型的许可证允许收录"),
    "allowed.guard": ("Not too many files went at once, or somebody has looked", "未一次删除过多文件，或已人工确认"),
    "outcome.allowed": ("allowed", "允许"),
    "outcome.held": ("held", "暂不发布"),
    "outcome.refused": ("refused", "不予镜像"),
    "repo.signed": ("signed", "已签名"),
    "repo.scanned": ("scanned", "已扫描"),
    "class.pickle": ("pickle", "pickle 文件"),
    "class.code": ("code", "代码"),
    "class.executable": ("executable", "可执行文件"),
    "runs.pickle": ("{n} pickle|{n} pickles", "{n} 个 pickle 文件"),
    "runs.code": ("{n} file of code|{n} files of code", "{n} 个代码文件"),
    "runs.executable": ("{n} executable|{n} executables", "{n} 个可执行文件"),
    "repo.check": ("Check it by hand", "自行校验"),
    "repo.check-how": (
        "You need {signers}, which the operator gives you in another way, and files of commit {commit} in {folder}.",
        "需要管理员通过其他途径提供的 {signers}，以及放在目录 {folder} 中的提交 {commit} 的文件。",
    ),
    "repo.allowed": ("Allowed here", "允许镜像"),
    "repo.gone": ("Its upstream stopped giving it {at}.", "上游停止提供：{at}。"),
    "reason.not-found-or-private.gone": (
        "Its upstream no longer has it, or no longer shows it to this mirror",
        "上游已无此仓库，或不再对本站开放",
    ),
    "reason.private.gone": ("Its upstream no longer shows it to everybody", "上游已不再公开此仓库"),
    "repo.gone-kept": ("What was published before stays here.", "此前发布的内容仍保留在本站。"),
    "repo.get": ("Get it", "获取"),
    "repo.python": ("Python", "Python"),
    "repo.shell": ("Command line", "命令行"),
    "repo.js": ("JavaScript, with @huggingface/hub", "JavaScript（使用 @huggingface/hub）"),
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
    "repo.asked": ("How it is kept up to date", "如何保持更新"),
    "repo.job": ("Job", "同步任务"),
    "repo.revision": ("Revision", "版本"),
    "repo.reason": ("Reason", "原因"),
    "repo.files": ("Files", "文件"),
    "repo.files-of": ("Files of commit {commit}", "提交 {commit} 的文件"),
    "repo.left": ("Left out here, since this mirror takes only a part of it:", "本站只收录其中一部分，未收录："),
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
    "repo.snapshots": ("Versions", "版本"),
    "repo.names": ("Names", "名称"),
    "repo.title": ("Title", "标题"),
    "repo.moves": ("Who moved which name", "名称变更记录"),
    "verb.promote": ("promoted", "推进"),
    "verb.tag": ("tagged", "打标签"),
    "verb.untag": ("tag removed", "删除标签"),
    "verb.rollback": ("rolled back", "回退"),
    "verb.unpin": ("let follow again", "解除固定"),
    "verb.share": ("given to a share of readers", "按比例开放"),
    "repo.moved-at": ("When", "时间"),
    "repo.name": ("Name", "名称"),
    "repo.from": ("From", "原提交"),
    "repo.to": ("To", "新提交"),
    "repo.by": ("By", "操作者"),
    "repo.look": ("Preview", "预览"),
    "repo.look-cut": ("The beginning of the file:", "文件开头部分："),
    "repo.look-broken": ("It could not be read from here; open the file itself.", "无法在此读取，请直接打开文件。"),
    "close": ("Close", "关闭"),
    "fresh.checked": ("Compared with its upstream {at}.", "与上游核对：{at}。"),
    "fresh.verified": (
        "This mirror last read all its files and compared their SHA-256 {at}; nothing was wrong.",
        "本站上次读取全部文件并比对 SHA-256：{at}，未发现错误。",
    ),
    "fresh.more": ("State of the mirror", "镜像运行状况"),
    "card.title": ("About it, in its authors’ words", "作者说明"),
    "card.show": ("The card", "模型卡 / 数据集卡"),
    "card.image": ("picture", "图片"),
    "card.cut": ("This is the beginning; all of it is in {file}.", "此处为开头部分，全文见 {file}。"),
    "licence.title": ("The text of its licence", "许可证文本"),
    "licence.show": ("Read it", "查看全文"),
    "repo.weights": ("Weights", "权重"),
    "weights.part": (
        "not counted: {files} of {parts} files could be read",
        "未统计：{parts} 个文件中仅 {files} 个可读取",
    ),
    "weights.unsure": (
        "not counted: its files do not hold what its index says",
        "未统计：文件内容与索引不一致",
    ),
    "weights.files": ("{n} file|{n} files", "{n} 个文件"),
    "weights.shards": ("Its files", "分片文件"),
    "weights.tensors": ("Tensors", "张量数"),
    "weights.parameters": ("Parameters", "参数量"),
    "weights.twice": ("Its index names the tensor {name} twice.", "其索引两次列出张量 {name}。"),
    "weights.said": (
        "Its index says that all tensors take {said}; by the files themselves it is {size}.",
        "其索引称全部张量共 {said}，而文件中实为 {size}。",
    ),
    "weights.no-index": ("Its index, {file}, could not be read.", "其索引 {file} 无法读取。"),
    "shard.other": ("holds other tensors than the index says", "所含张量与索引不一致"),
    "shard.unread": ("could not be read", "无法读取"),
    "shard.missing": ("is not here", "本站没有此文件"),
    "shard.unseen": ("not looked at: it comes after the first 1,000 files", "未读取：不在前 1,000 个文件之列"),
    "weights.shape": ("Shape", "形状"),
    "weights.type": ("Type", "类型"),
    "weights.first": ("The first {n} of {all} tensors.", "共 {all} 个张量，此处列出前 {n} 个。"),
    "family.title": ("Where it comes from, and what came of it", "来源与衍生"),
    "relation.from": ("Made from", "基于"),
    "relation.finetune": ("Fine-tuned from", "微调自"),
    "relation.adapter": ("Adapter for", "适用的基础模型"),
    "relation.quantized": ("Quantized from", "量化自"),
    "relation.merge": ("Merged from", "合并自"),
    "made.from": ("made from it", "衍生"),
    "made.finetune": ("fine-tuned", "微调"),
    "made.adapter": ("adapter", "适配器"),
    "made.quantized": ("quantized", "量化"),
    "made.merge": ("merged", "合并"),
    "compare.before": ("Compare", "比较"),
    "compare.after": ("with", "与"),
    "compare.do": ("Show what changed", "显示差异"),
    "compare.same": ("Both have the same files.", "两个版本的文件相同。"),
    "compare.reading": ("Reading both listings …", "正在读取两个清单……"),
    "compare.broken": ("The listings could not be read.", "清单未能读取。"),
    "compare.cut": ("Of very many files only the first are compared.", "文件过多，仅比较前一部分。"),
    "compare.added": ("Added", "新增"),
    "compare.removed": ("Removed", "删除"),
    "compare.changed": ("Changed", "更改"),
    # wishes
    "ask.title": ("Ask for it", "申请镜像"),
    "ask.link": ("Ask the people who run this mirror", "联系本站管理员"),
    "ask.repo": ("Which repo, as org/name or dataset:org/name", "仓库名称，如 org/name 或 dataset:org/name"),
    "ask.send": ("Ask for it", "提交申请"),
    "ask.wanted": ("What others have asked for", "大家申请的仓库"),
    "asked.title": ("Your request", "镜像申请"),
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
        "Everything that this mirror is meant to have is here.",
        "本站应有的内容均已收录。",
    ),
    "mirror.gaps": (
        "{n} thing that is meant to be here is not here yet.|{n} things that are meant to be here are not here yet.",
        "本站应有的内容中，有 {n} 项尚未收录。",
    ),
    "gaps.title": ("What is not here yet, and why", "尚未收录的内容及原因"),
    "gaps.more": ("And {n} more.", "另有 {n} 项。"),
    "gaps.find": ("All of this state in the catalogue", "在目录中查看此状态的全部仓库"),
    "mirror.verified": (
        "All files were last compared with their SHA-256 {at}: nothing was wrong.",
        "上次比对全部文件的 SHA-256：{at}，未发现错误。",
    ),
    "mirror.faults": (
        (
            "All files were last compared with their SHA-256 {at}: {n} file was wrong."
            "|All files were last compared with their SHA-256 {at}: {n} files were wrong."
        ),
        "上次比对全部文件的 SHA-256：{at}，{n} 个文件有误。",
    ),
    "mirror.unverified": (
        "What is stored has not been verified again since it was published.",
        "发布后尚未重新校验过。",
    ),
    "mirror.pruned": ("Old versions were last removed {at}.", "上次清理旧版本：{at}。"),
    "mirror.replica": ("Copy {name} has all up to {at}.", "副本 {name} 的内容截至 {at}。"),
    "mirror.replica.never": ("Copy {name}: not whole yet.", "副本 {name}：尚未完整。"),
    "mirror.unusual": (
        "On {day} {n} client was unusual by what it read.|On {day} {n} clients were unusual by what they read.",
        "{day} 有 {n} 个客户端的读取行为异常。",
    ),
    "front.title": ("Serving, last 24 hours", "对外服务，最近 24 小时"),
    "front.requests": ("Answers", "响应数"),
    "front.sent": ("Sent", "已发送"),
    "front.failed": ("Failed (5xx)", "失败（5xx）"),
    "front.half": ("First byte, median", "首字节时间（中位数）"),
    "front.most": ("First byte, 95 %", "首字节时间（95%）"),
    "front.watched": ("Counted for {span}.", "统计时长：{span}。"),
    "front.caches": ("Found in the cache:", "缓存命中率："),
    "mirror.at": ("Written {at}.", "更新于 {at}。"),
    "mirror.repos": ("Repos", "仓库"),
    "mirror.bytes": ("Stored", "总量"),
    "mirror.median": ("Wait for a new version", "新版本等待时间"),
    "mirror.worst": ("Longest wait", "最长等待"),
    "mirror.lag": (
        (
            "The wait is from a commit upstream until it could be read here ({n} publication)."
            "|The wait is from a commit upstream until it could be read here (median of the last {n} publications)."
        ),
        "等待时间：从上游提交到本站可读取，按最近 {n} 次发布取中位数。",
    ),
    "mirror.no-lag": ("No new version has come yet.", "尚无新版本发布记录。"),
    "mirror.jobs": ("Jobs that keep it up to date", "同步任务"),
    "mirror.no-jobs": ("There is no job yet.", "尚未配置任务。"),
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
    "chart.bytes": ("Bytes", "字节数"),
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


def told(sentence: str) -> Markup:
    """What a rule has said, in both languages; where nobody has written the Chinese of it, in English alone."""
    # which a run that finds nothing new does not need
    from mirror_sync.catalogue.words.details import in_chinese

    chinese = in_chinese(sentence)
    if chinese is None:
        return Markup('<bdi lang="en">{}</bdi>').format(sentence)
    return _SPAN.format("en", sentence) + _SPAN.format("zh", chinese)


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

"""What can go wrong on the way, drawn by dice: on the upstream's side and on the target's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from tests.chaos.proxy import Proxy, Trouble
from tests.chaos.tally import Traffic, is_content
from tests.chaos.truth import Truth
from tests.standin import Answer, Hub, Request, faults
from tests.standin.faults import Fault

MIB = 1 << 20
_DENIED = b"<Error><Code>AccessDenied</Code></Error>"
_Draw = Callable[[Random], Fault]


@dataclass(frozen=True)
class Kind:
    """A fault of the upstream. `lies`: its bytes are not the file's, and look as if they were."""

    draw: _Draw
    match: Callable[[Request], bool]
    lies: bool = False
    rare: bool = False
    """At most once a round: it costs seconds."""


def _any(_: Request) -> bool:
    return True


def _api(request: Request) -> bool:
    return request.path.startswith("/api/")


def _cdn(request: Request) -> bool:
    return request.origin == "cdn"


def _tree(request: Request) -> bool:
    return "/tree/" in request.path


KINDS: Mapping[str, Kind] = {
    "cut": Kind(lambda dice: faults.cut(dice.randrange(8 * MIB)), is_content),
    "cut early": Kind(lambda dice: faults.cut(dice.randrange(3000)), _any),
    "stall": Kind(lambda dice: faults.stall(dice.uniform(1, 4), dice.randrange(MIB)), is_content, rare=True),
    "trickle": Kind(lambda dice: faults.trickle(dice.choice((2_000, 200_000, 3_000_000))), is_content, rare=True),
    "wrong bytes": Kind(lambda dice: faults.wrong_bytes(_offset(dice)), is_content, lies=True),
    "truncated": Kind(lambda dice: faults.truncated(dice.randrange(20_000)), is_content, lies=True),
    "longer": Kind(lambda dice: faults.longer(7, honest=dice.random() < 0.5), is_content, lies=True),
    "web page": Kind(lambda _: faults.html(), _any, lies=True),
    "garbage": Kind(lambda _: faults.garbage(), _api),
    "empty list": Kind(lambda _: faults.empty_list(), _tree),
    "unavailable": Kind(lambda _: faults.status(503), _any),
    "busy": Kind(lambda _: faults.busy(1), _api, rare=True),
    "reset": Kind(lambda _: faults.refuse(), _any),
    "late": Kind(lambda dice: faults.delay(dice.uniform(0.1, 1)), _any, rare=True),
    "denied": Kind(lambda _: faults.status(403, None, _DENIED), _cdn),
}
SLOW_LINE = "slow line"


@dataclass
class Faulter:
    """Puts drawn faults in force, and notes which contents met a lie."""

    hub: Hub
    truth: Truth
    traffic: Traffic
    target: Proxy | None
    """None where the target is a folder."""

    def draw(self, dice: Random) -> list[str]:
        """Some faults; returns their names. In a third of all rounds there are none."""
        names = [name for _ in range(dice.choice((0, 1, 1, 2, 3))) for name in [self._upstream(dice)]]
        if self.target is not None:
            names += [self._target(dice, self.target) for _ in range(dice.choice((0, 0, 1, 2)))]
        if dice.random() < 0.5:
            # Without it a kill would hardly ever meet a transfer: loopback brings 40 MiB in 0.1 s.
            self.hub.faults.add(faults.trickle(dice.randint(10, 60) * MIB), is_content)
            names.append(SLOW_LINE)
        return names

    def clear(self) -> None:
        """End all faults."""
        self.hub.faults.clear()
        if self.target is not None:
            self.target.clear()

    def _upstream(self, dice: Random) -> str:
        name = dice.choice([*KINDS, "refused", "expired"])
        if name == "refused":
            self.hub.faults.refuse_connections(dice.choice(("hub", "cdn")), dice.randint(1, 4))
        elif name == "expired":
            self.hub.faults.before(lambda _: self.hub.clock.advance(4000), "/repos/*", origin="cdn")
        else:
            self._add(KINDS[name], dice)
        return name

    def _add(self, kind: Kind, dice: Random) -> None:
        times = 1 if kind.rare else dice.choice((1, 1, 2, 3, 40))
        chance = 0.3 if times > 3 else 1.0
        do = self._noted(kind.draw(dice)) if kind.lies else kind.draw(dice)
        skip, seed = dice.randrange(6), dice.randrange(1 << 30)
        self.hub.faults.add(do, kind.match, times=times, skip=skip, probability=chance, seed=seed)

    def _noted(self, do: Fault) -> Fault:
        def change(request: Request, answer: Answer) -> Answer:
            content = self.truth.content_at(request.path) if is_content(request) else None
            if content is not None:
                self.traffic.left_out.add(content.sha256)
            return do(request, answer)

        return change

    def _target(self, dice: Random, target: Proxy) -> str:
        name = dice.choice([*TROUBLES])
        target.ask_for(TROUBLES[name](dice))
        return f"target {name}"


def _offset(dice: Random) -> int:
    return dice.choice((0, dice.randrange(1000), dice.randrange(17 * MIB)))


TROUBLES: Mapping[str, Callable[[Random], Trouble]] = {
    "refused": lambda dice: Trouble("refuse", skip=dice.randint(1, 4)),
    "reset": lambda dice: Trouble("reset", skip=dice.randrange(30)),
    "delay": lambda dice: Trouble("delay", skip=dice.randrange(30), amount=dice.uniform(0.1, 0.8)),
    "cut": lambda dice: Trouble("cut", skip=dice.randrange(30), amount=dice.randrange(1, 9 * MIB)),
    "slow down": lambda dice: Trouble("slow down", skip=dice.randrange(30)),
    "slow down on writes": lambda dice: Trouble("slow down", "PUT ", skip=dice.randrange(8)),
    "slow down on names": lambda dice: Trouble("slow down", r"PUT \S+refs\.json"),
    "cut on names": lambda dice: Trouble("cut", r"PUT \S+refs\.json", amount=dice.randrange(1, 2500)),
    "error in a 200": lambda dice: Trouble("error in a 200", r"POST \S+uploadId="),
}
ALWAYS = 1 << 30
EMPTY_HUB = "an empty listing of hub/"
LIES: Mapping[str, Callable[[Random], Trouble]] = {
    "a listing cut short": lambda _: Trouble("cut listing", r"GET \S+list-type=2", times=ALWAYS),
    "a listing that is miscounted": lambda _: Trouble("miscounted listing", r"GET \S+list-type=2", times=ALWAYS),
    EMPTY_HUB: lambda _: Trouble("empty listing", r"GET \S+prefix=hub", times=ALWAYS),
    "empty documents": lambda dice: Trouble("empty body", r"GET \S+/blobs/", skip=dice.randrange(20), times=ALWAYS),
    "empty names": lambda _: Trouble("empty body", r"GET \S+/refs\.json", times=ALWAYS),
}
"""What a bucket says that is not so, to all who ask: nothing of it may be believed."""

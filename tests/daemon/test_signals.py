"""No signal is lost, however fast they come and whatever the main thread waits for."""

from __future__ import annotations

import os
import signal
import threading

from mirror_sync.daemon.signals import caught


def test_a_signal_on_the_heels_of_another_is_seen_while_the_main_thread_waits_for_a_lock() -> None:
    seen: list[int] = []
    done = threading.Event()

    def watch() -> None:
        for number in came:
            seen.append(number)
            if len(seen) == 200:
                done.set()
            else:
                os.kill(os.getpid(), signal.SIGHUP)

    with caught(signal.SIGHUP) as came:
        watcher = threading.Thread(target=watch)
        watcher.start()
        os.kill(os.getpid(), signal.SIGHUP)
        assert done.wait(240)
    watcher.join()
    assert seen == [signal.SIGHUP] * 200


def test_afterwards_handlers_are_as_they_were() -> None:
    before = signal.getsignal(signal.SIGHUP)
    with caught(signal.SIGHUP):
        assert signal.getsignal(signal.SIGHUP) is not before
    assert signal.getsignal(signal.SIGHUP) is before

"""Views of a running sweep: shown now and then and at the end, and unable to harm it."""

from __future__ import annotations

import asyncio
import threading

import pytest

import swath
from running import PATIENCE
from swath.run import viewing


def squares(x):
    return x * x


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return swath.Sweep(squares, {"x": [1, 2, 3]}, name="squares")


def test_the_last_look_is_at_the_end_and_comes_before_whoever_waits(sweep, monkeypatch):
    monkeypatch.setattr(viewing, "INTERVAL", 0.001)
    seen = []
    handle = sweep._prepared(swath.run.Options(engine="inline"))
    handle.follow(lambda: seen.append(handle.snapshot.state))
    handle.go()
    assert handle.wait(PATIENCE)
    assert seen[-1] == "complete"
    assert len(handle.finished()) == 3


def test_a_view_that_fails_is_not_asked_again_and_harms_nothing(sweep, monkeypatch):
    monkeypatch.setattr(viewing, "INTERVAL", 0.001)
    asked = []

    def show():
        asked.append(None)
        raise ValueError("no room")

    handle = sweep._prepared(swath.run.Options(engine="inline"))
    handle.follow(show)
    handle.go()
    assert handle.wait(PATIENCE)
    assert handle.error is None
    assert len(asked) == 1
    assert "no room" in (handle.folder / "events.jsonl").read_text()


def test_a_view_that_never_answers_does_not_hold_up_the_end(monkeypatch):
    monkeypatch.setattr(viewing, "PATIENCE", 0.01)
    begun, free, ended = threading.Event(), threading.Event(), threading.Event()

    def show():
        begun.set()
        free.wait()

    monkeypatch.setattr(viewing, "INTERVAL", 0.001)
    viewer = viewing.Viewer(show, print)
    follower = threading.Thread(target=viewer.follow, args=(ended,))
    follower.start()
    assert begun.wait(PATIENCE)
    viewer.finish()  # returns
    free.set()
    ended.set()
    follower.join(PATIENCE)
    assert not follower.is_alive()


def test_awaiting_leaves_the_loop_free_and_who_is_cancelled_harms_nothing(sweep):
    handle = sweep._prepared(swath.run.Options(engine="inline"))

    async def work():
        waiting = asyncio.ensure_future(_results(handle))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        threads = threading.active_count()
        awaited = asyncio.ensure_future(_results(handle))
        await asyncio.sleep(0)
        assert threading.active_count() == threads  # nobody waits in a thread that would keep the interpreter
        handle.go()
        return await awaited

    assert len(asyncio.run(work())) == 3
    assert len(asyncio.run(_results(handle))) == 3  # again, although it has ended


async def _results(handle):
    return await handle

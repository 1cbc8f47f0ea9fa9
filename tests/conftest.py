"""Options that make the same tests longer, a browser, and a fixture for what a test leaves behind."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from leftovers import Traces, leave, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from browsing import Chromium, Viewer
    from jupyters import Jupyter

LINUX = sys.platform == "linux"
SCRATCH = settle()  # before any test module is imported: some of them copy the environment
BASELINE: dict[str, Traces] = {}


def pytest_configure() -> None:
    """Hear what whoever started us had ignored (nohup, a job in the background): swath respects that."""
    hear_signals()


def hear_signals() -> None:
    for number, handler in (
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGINT, signal.default_int_handler),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_unconfigure() -> None:
    leave(SCRATCH)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After a test no process, listening port, lock or scratch file of its making may be there."""
    if not LINUX:  # nothing else has /proc
        yield
        return
    before = BASELINE["test"] = Traces()
    yield
    if found := before.leftovers():
        before.end()
        pytest.fail("the test left behind:\n  " + "\n  ".join(found), pytrace=False)


@pytest.fixture(autouse=True)
def signals_are_heard() -> Iterator[None]:
    """A run that was stopped by a signal ignores others from then on; this process is not leaving."""
    yield
    hear_signals()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """One browser for all tests, started when the first of them asks for it."""
    import browsing

    if reason := browsing.missing():
        pytest.skip(reason)
    program = browsing.Chromium()
    yield program
    program.close()


@pytest.fixture
def viewers(chromium: Chromium, request: pytest.FixtureRequest) -> Iterator[Callable[..., Viewer]]:
    """Make viewers, each with a browser profile of its own; what they complain about fails the test."""
    import browsing

    shots = Path(request.config.getoption("--shots"))
    made: list[Viewer] = []

    def arrive(**options: object) -> Viewer:
        made.append(browsing.Viewer(chromium, shots, **options))
        return made[-1]

    with chromium.attended():
        yield arrive
        for viewer in made:
            viewer.leave()
    if complaints := [text for viewer in made for text in viewer.complaints()]:
        pytest.fail("the browser complains:\n  " + "\n  ".join(complaints), pytrace=False)


@pytest.fixture
def viewer(viewers: Callable[..., Viewer]) -> Viewer:
    return viewers()


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """A Jupyter server with its proxy, for all tests that ask for it."""
    from jupyters import Jupyter

    pytest.importorskip("jupyter_server_proxy", reason="needs jupyter-server-proxy: pip install --group test")
    with Jupyter(tmp_path_factory.mktemp("jupyter")) as server:
        yield server


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that waits for nothing between commits."""
    monkeypatch.setattr("swath.store.commits.PAUSE", 0.0)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
    """Let stay what a fixture made that outlives the test, also where the test asked for it while running."""
    result = yield
    if fixturedef.scope != "function" and "test" in BASELINE:
        BASELINE["test"].forgive(Traces())
    return result


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("swath")
    group.addoption("--seeds", type=int, default=1000, help="simulated sweeps of the driver [1000]")
    group.addoption("--first-seed", type=int, default=0, help="where the simulated sweeps begin [0]")
    group.addoption("--kills", type=int, default=25, help="kill -9 of a running sweep [25]")
    group.addoption("--search-kills", type=int, default=4, help="kill -9 of a running search [4]")
    group.addoption("--flips", type=int, default=300, help="flipped bits and cuts in files of a run [300]")
    group.addoption("--losses", type=int, default=300, help="simulated power cuts of the store [300]")
    group.addoption(
        "--hostile", type=int, default=20, help="hostile points, among a hundred times as many [20]"
    )
    group.addoption("--storms", type=int, default=1, help="storms over a pool of slots [1]")
    group.addoption("--shots", default="build/screenshots", help="folder for pictures [build/screenshots]")
    group.addoption("--span", type=float, default=0.01, help="part of a fault's original duration [0.01]")

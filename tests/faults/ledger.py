"""A pytest plugin that writes down, line by line, what becomes of each test; the runner reads it afterwards.

A line is written when something happens, not at the end, so that a test which takes the whole process with it is
found out: it has begun and has no end.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--ledger", type=Path, help="file that takes what becomes of each test")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.ledger is not None:
        config.pluginmanager.register(_Ledger(config.option.ledger))


class _Ledger:
    def __init__(self, path: Path) -> None:
        self._path = path

    def _note(self, test: str, what: str, reason: str = "") -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([test, what, reason]) + "\n")

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self._note(item.nodeid, "collected")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._note(report.nodeid, "failed", _reason(report))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._note(nodeid, "begun")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed or report.skipped:
            self._note(report.nodeid, report.outcome, _reason(report))
        elif report.when == "teardown":
            self._note(report.nodeid, "ended")


def _reason(report: pytest.CollectReport | pytest.TestReport) -> str:
    """The one line of a report that says most."""
    if isinstance(report.longrepr, tuple):  # a skip: path, line, reason
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else report.longreprtext
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:2])[:200] if lines else report.outcome

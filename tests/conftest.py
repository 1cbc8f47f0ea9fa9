"""Options that make the same tests longer, and a fixture for what a test leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("swath")
    group.addoption("--seeds", type=int, default=1000, help="simulated sweeps of the driver [1000]")
    group.addoption("--first-seed", type=int, default=0, help="where the simulated sweeps begin [0]")
    group.addoption("--kills", type=int, default=3, help="kill -9 of a running sweep [3]")
    group.addoption("--flips", type=int, default=300, help="flipped bits and cuts in files of a run [300]")
    group.addoption("--losses", type=int, default=300, help="simulated power cuts of the store [300]")
    group.addoption(
        "--hostile", type=int, default=10, help="hostile points, among a hundred times as many [10]"
    )
    group.addoption("--span", type=float, default=0.01, help="part of a fault's original duration [0.01]")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kill" in metafunc.fixturenames:
        metafunc.parametrize("kill", range(metafunc.config.getoption("--kills")))

"""The fixture that looks for what a test left behind, looked at itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import psutil

from leftovers import Traces
from running import until


def test_nothing_is_left_by_nothing():
    assert Traces().leftovers(0) == []


def test_a_child_and_an_orphan_are_found_and_ended():
    before = Traces()
    with subprocess.Popen(["sleep", "600"]) as child:
        out = subprocess.run(
            ["setsid", "sh", "-c", "sleep 601 >&- & echo $!"], stdout=subprocess.PIPE, check=True
        )
        orphan = int(out.stdout)
        found = until(lambda: len(texts := before.leftovers(0)) == 2 and texts)
        assert f"process {child.pid}: sleep 600" in found
        assert f"process {orphan}: sleep 601" in found
        before.end()
        assert child.wait(60) == -signal.SIGKILL
    until(lambda: not psutil.pid_exists(orphan))
    assert before.leftovers() == []


def test_what_ends_in_time_is_forgiven():
    before = Traces()
    with subprocess.Popen(["sleep", "0.1"]):
        assert before.leftovers(60) == []


def test_what_another_process_made_is_its_own():
    with subprocess.Popen(
        ["sh", "-c", "read x; sleep 600 & read x; kill $!"], stdin=subprocess.PIPE
    ) as owner:
        before = Traces()
        owner.stdin.write(b"\n")
        owner.stdin.flush()
        until(lambda: len(psutil.Process(owner.pid).children()) == 1)
        assert before.leftovers(0) == []
        owner.communicate(b"\n", timeout=60)


def test_a_listening_port_is_found():
    before = Traces()
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        assert before.leftovers(0) == []
        one.listen()
        assert before.leftovers(0) == [f"AF_INET port {one.getsockname()[1]} listens"]


def test_locks_and_scratch_files_are_found(tmp_path):
    before = Traces()
    with (tmp_path / "lock").open("w"), tempfile.NamedTemporaryFile() as file:
        assert before.leftovers(0) == [
            f"lock {tmp_path / 'lock'} is held",
            f"file {Path(file.name).name} in {tempfile.gettempdir()}",
        ]


def test_a_held_slot_number_is_found():
    folder = Path(tempfile.gettempdir(), f"swath-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    before = Traces()
    with (folder / "slot-77").open("w"):
        assert before.leftovers(0) == [f"lock {folder / 'slot-77'} is held"]


def test_what_a_later_fixture_holds_is_allowed():
    before = Traces()
    with tempfile.NamedTemporaryFile():
        before.forgive(Traces())
        assert before.leftovers(0) == []

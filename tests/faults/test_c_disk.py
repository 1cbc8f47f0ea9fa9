"""The real disk does what the simulated one supposes: each fsync is there, and in its place."""

from __future__ import annotations

import os
from pathlib import Path

from swath.store.disk import Disk, publish


def test_C05_a_file_is_synced_before_it_gets_its_name_and_the_folder_after_it(tmp_path, monkeypatch):
    steps = []
    real = {name: getattr(os, name) for name in ("write", "fsync", "rename", "replace")}

    def noted(name):
        def call(target, *rest):
            path = Path(f"/proc/self/fd/{target}").readlink() if isinstance(target, int) else Path(target)
            steps.append((name if name != "replace" else "rename", path.name))
            return real[name](target, *rest)

        return call

    for name in real:
        monkeypatch.setattr(os, name, noted(name))
    publish(Disk(), tmp_path / "file", [b"one", b"two"])
    assert (tmp_path / "file").read_bytes() == b"onetwo"
    assert steps == [
        ("write", "file.tmp"),
        ("write", "file.tmp"),
        ("fsync", "file.tmp"),
        ("rename", "file.tmp"),
        ("fsync", tmp_path.name),
    ]

"""The real disk, and a process that is killed at each of its system calls (the simulated one: test_c_store_power)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from running import ENVIRONMENT

PROGRAM = '''
"""Fork a process for each system call of a script; it kills itself there. Then look, recover, and look again."""
import json, os, shutil, signal, sys
from pathlib import Path

import pyarrow as pa

pa.set_cpu_count(1)  # no thread, so that forking is safe
import saving
import swath.store
from simdisk import HereCommits
from saving import STUDY, Session, error_of, study
from swath.ranges import RangeSet
from swath.store import merging
from swath.store.assembly import Assembly
from swath.store.disk import Disk
from swath.store.history import Archive, latest

swath.store.Commits = HereCommits
merging.MANY = merging.LEAST = 3
merging.LEFT = 2
LARGE = study()
SMALL = study(parameters={**STUDY["parameters"], "a": [1, 2, 3]})
CALLS = ("mkdir", "write", "fsync", "replace", "link", "unlink")
here = Path(sys.argv[1])


def todo(session):
    missing = RangeSet([(0, session.definition.space.size)])
    missing.difference_update(session.past.done)
    return [i for start, stop in missing for i in range(start, stop)]


def script(folder, report):
    for definition, most in ((SMALL, 4), (LARGE, 2)):
        with Session(folder, definition) as session:
            for position in todo(session)[:most]:
                session.save(position, position + 1)
                if session.durable[-1:] == [len(session.writes) - 1]:
                    os.pwrite(report, bytes([position + 1]), position)
            if definition is LARGE:
                session.store.export()


def shimmed(kill):
    """Count system calls that change something, writes in a row as one; kill the process at one, a write half done."""
    count, last = [0], [""]

    def shim(name):
        real = getattr(os, name)

        def call(*args, **more):
            if name == last[0] == "write":
                return real(*args, **more)
            last[0] = name
            if count[0] == kill:
                if name == "write":
                    real(args[0], memoryview(args[1])[: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            count[0] += 1
            return real(*args, **more)

        return call

    for name in CALLS:
        setattr(os, name, shim(name))
    return count


def rows(folder):
    def read(archive):
        made = Assembly(archive).arrow
        assert not archive.damage
        return dict(zip(made.column("point").to_pylist(), made.column("error").to_pylist() if len(made) else []))

    return latest(Disk(), folder, read)


def attempt(folder, report, kill):
    """Play the script in a fork; return whether it was killed."""
    pid = os.fork()
    if not pid:
        try:
            shimmed(kill)
            script(folder, report)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


kill = 0
truth = dict(zip(range(24), error_of(LARGE, range(24))))
while True:
    folder = here / str(kill) / "study"
    folder.parent.mkdir()
    report = os.open(here / str(kill) / "reported", os.O_RDWR | os.O_CREAT)
    killed = attempt(folder, report, kill)
    if killed:
        attempt(folder, report, (kill * 7) % 23)
    reported = {position - 1 for position in os.pread(report, 100, 0) if position}
    os.close(report)
    with Session(folder, LARGE) as session:
        assert session.past.damage == ()
        there = rows(folder)
        assert reported <= there.keys(), (kill, reported, there)
        assert there.items() <= truth.items()
        for position in todo(session):
            session.save(position, position + 1)
    assert rows(folder) == truth, kill
    assert not [name for name in folder.rglob("*.tmp")]
    shutil.rmtree(folder.parent)
    if not killed:
        break
    kill += 1
print(json.dumps(kill))
'''


@pytest.mark.timeout(300)
def test_C01_killed_at_every_system_call_on_a_real_disk_and_again_while_it_recovers(tmp_path, request):
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK):
        tmp_path = Path(tempfile.mkdtemp(dir=memory))
        request.addfinalizer(lambda: shutil.rmtree(tmp_path))
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    words = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) > 80

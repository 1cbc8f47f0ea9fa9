"""Driver faults C04 and C06: processes that are suspended, and clocks that jump."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import swath
from running import ENVIRONMENT, HOLD, PATIENCE, begun, command, ran, until

NAPS = 150
STUDY = f"objective: study:nap\nparameters: {{x: {{range: [{NAPS}]}}}}\npoint: {{timeout: 2s}}\n"
TEN_MINUTES = 600.0
TIMESTAMPS = {
    "store/lock.py",  # since when
    "store/__init__.py",  # sessions, creation
    "store/accepting.py",  # likewise
    "store/writer.py",  # last update
    "inside/evaluate.py",  # when a point began
    "inside/fresh.py",
    "cluster/clock.py",  # once, as a zero
    "slot/watch.py",  # likewise, of a point that did not live to tell
    "commands/report.py",  # the day on a report
    "run/journal.py",
    "bulletin.py",  # how old one is, for a reader on another machine
    "run/report.py",
    "views/terminal.py",  # the hour before a line
}
"""Files that look at the wall clock, each for something that people read and nothing else."""


@pytest.fixture
def naps(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "study.py").write_text(HOLD)
    return tmp_path


def all_ok(folder):
    results = swath.open(folder / "results/study")
    assert results.statuses == {"ok": NAPS}
    assert results.frame.value.tolist() == [x * x for x in range(NAPS)]
    assert set(results.frame.attempts) == {1}


def suspended(processes, seconds):
    for process in processes:
        process.suspend()
    time.sleep(seconds)
    for process in processes:  # children first, if it has any; a driver that is late finds them at work
        process.resume()


def test_C04_a_driver_that_was_stopped_goes_on_and_blames_nobody(naps, request):
    with begun(*command("run", "study.yaml", "-n", "2"), folder=naps) as process:
        until(lambda: len(ran(naps)) > 10)
        suspended([psutil.Process(process.pid)], TEN_MINUTES * request.config.getoption("--span"))
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    all_ok(naps)


def test_C04_C06_a_laptop_that_slept_in_the_middle_of_points_blames_none_of_them(naps):
    with begun(*command("run", "study.yaml", "-n", "2"), folder=naps) as process:
        until(lambda: len(ran(naps)) > 10)
        driver = psutil.Process(process.pid)
        suspended([*driver.children(recursive=True), driver], 2.5)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    all_ok(naps)


JUMPS = """
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Every 200 ms the wall clock jumps: a day back, a day ahead, to 1970, an hour, and home again. */
static void jump(time_t *seconds) {
    static const long jumps[] = {0, -86400, 86400, -1, 3600};
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    long offset = jumps[(now.tv_sec * 5 + now.tv_nsec / 200000000) % 5];
    *seconds = offset == -1 ? now.tv_sec % 1000 : *seconds + offset;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME) jump(&now->tv_sec);
    return result;
}

int gettimeofday(struct timeval *now, void *zone) {
    int result = syscall(SYS_gettimeofday, now, zone);
    jump(&now->tv_sec);
    return result;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}
"""


@pytest.fixture(scope="module")
def jumping(tmp_path_factory):
    """A library under which the wall clock jumps, for a process and all that it starts."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to make a clock that jumps")
    folder = tmp_path_factory.mktemp("clock")
    (folder / "jumps.c").write_text(JUMPS)
    library = folder / "jumps.so"
    made = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", library, folder / "jumps.c"],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("the C compiler cannot make a library here")
    return {**ENVIRONMENT, "LD_PRELOAD": str(library)}


def test_C06_a_wall_clock_that_jumps_by_days_and_to_1970_changes_nothing(jumping, naps):
    hours = subprocess.run(
        ["sh", "-c", "for i in 1 2 3 4 5 6; do date +%s; sleep 0.2; done"],
        env=jumping,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert max(map(int, hours)) - min(map(int, hours)) > 1e9, "the clock did not jump"
    with subprocess.Popen(
        command("run", "study.yaml", "-n", "2"), cwd=naps, env=jumping, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            _, said = process.communicate(timeout=PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
    assert process.returncode == 0, said
    assert "not used" not in said
    all_ok(naps)


AHEAD = """
import time
import distributed.batched, tornado.ioloop
import swath

def tomorrow():
    return time.time() + 86400

distributed.batched.time = tomorrow
distributed.batched.parse_timedelta = lambda *given, **how: 0.5  # s between messages: the moment lasts longer
tornado.ioloop.IOLoop.time = lambda loop: tomorrow()

def square(x):
    return x * x

print(swath.Sweep(square, {"x": range(5)}, name="study").run(workers=2).frame.value.tolist())
"""


def test_C06_no_hour_is_kept_that_the_clock_before_ours_had_given(tmp_path):
    """When the clock has jumped just before Dask's loop got ours, what was due by it would come a day late."""
    (tmp_path / "script.py").write_text(AHEAD)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout == "[0, 1, 4, 9, 16]\n", done.stderr


def test_C06_only_timestamps_come_from_the_wall_clock():
    root = Path(swath.__file__).parent
    looks = {
        str(file.relative_to(root))
        for file in root.rglob("*.py")
        if re.search(r"time\.time\b|datetime\.now\(|time\.strftime\(|utcnow", file.read_text())
    }
    assert looks - {"store/repair.py"} <= TIMESTAMPS

"""Driver fault C09: a machine that lacks what others have; it works, or one sentence says why not before anything starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import swath
from running import ENVIRONMENT, PATIENCE, command

STUDY = "objective: study:square\nparameters: {x: {range: [8]}}\n"
CODE = "def square(x):\n    return x * x\n"
NOBODY = "54321"  # no user of any machine
ROOT = os.geteuid() == 0 and shutil.which("setpriv") is not None
"""Only root can become somebody without rights."""


@pytest.fixture
def poor():
    """A folder that everybody may enter, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="swath-poor-"))
    folder.chmod(0o777)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "study.py").write_text(CODE)
    yield folder
    folder.chmod(0o777)
    shutil.rmtree(folder)


def swath_run(folder, *before, options=("-n", "2"), **environment):
    known = {**ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    known = {name: value for name, value in known.items() if value is not None}
    return subprocess.run(
        [*before, *command("run", "study.yaml", *options)],
        cwd=folder,
        env=known,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def works(done, folder, out="results"):
    assert done.returncode == 0, done.stderr
    assert swath.open(folder / out / "study").frame.value.tolist() == [x * x for x in range(8)]


def says(done, folder, *words, code=2):
    """It ended with a sentence or two, and left nothing behind."""
    assert done.returncode == code, done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not (folder / "results").exists() or not list((folder / "results").glob("*/*"))


RIGHTS = "-all,+dac_read_search"  # an installation below /root can be read, and nothing else done that others may not


def as_nobody(*limits):
    """A command as a user who owns nothing and may not write anywhere."""
    if not ROOT:
        pytest.skip("only root can become a user without rights")
    words = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--inh-caps", RIGHTS]
    words += ["--ambient-caps", RIGHTS, "sh", "-c", 'exec "$@"', "sh"]
    if subprocess.run([*words, sys.executable, "-c", ""], check=False, capture_output=True).returncode:
        pytest.skip("other users cannot read this installation")
    return [*words, *limits]


def in_a_room(script):
    """A command in a mount namespace of its own, prepared by a shell script."""
    words = ["unshare", "--mount", "sh", "-c", f'{script} && exec "$@"', "sh"]
    if subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("mount namespaces are not permitted here")
    return words


def test_C09_few_descriptors_that_may_be_more_are_raised(poor):
    works(swath_run(poor, "sh", "-c", 'ulimit -S -n 24; exec "$@"', "sh"), poor)


def test_C09_too_few_descriptors_are_refused_with_the_way_out(poor):
    done = swath_run(poor, "sh", "-c", 'ulimit -n 48; exec "$@"', "sh")
    says(
        done,
        poor,
        "48 files may be open at a time, and 2 slots need about 346",
        "ulimit -n",
        "fewer workers: -n",
    )


def test_C09_too_few_processes_are_told_in_a_sentence(poor):
    if shutil.which("prlimit") is None:
        pytest.skip("no prlimit here")
    for most in (1, 3, 20):
        done = swath_run(poor, *as_nobody("prlimit", f"--nproc={most}"), HOME=str(poor))
        says(done, poor, f"you may have {most} processes and threads", "2 slots need about 32", "ulimit -u")
    works(swath_run(poor, *as_nobody("prlimit", "--nproc=60"), HOME=str(poor)), poor)


def test_C09_no_home_and_no_name(poor):
    works(swath_run(poor, *as_nobody(), HOME=None, USER=None, LOGNAME=None, XDG_CONFIG_HOME=None), poor)


def test_C09_a_working_folder_that_cannot_be_written(poor):
    somewhere = as_nobody()
    poor.chmod(0o755)
    done = swath_run(poor, *somewhere)
    says(done, poor, "cannot write results", code=74)
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="swath-poor-") as out:
        Path(out).chmod(0o777)
        works(swath_run(poor, *somewhere, options=("-n", "2", "--out", out)), poor, out)


def test_C09_no_shared_memory_folder(poor):
    works(swath_run(poor, *in_a_room("mount -t tmpfs -o ro,size=4k none /dev/shm")), poor)


def test_C09_no_folder_for_temporary_files(poor):
    room = in_a_room(
        "mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp && mount -t tmpfs -o ro,size=4k none /var/tmp"
    )
    done = swath_run(poor, *room, TMPDIR=None, options=("-n", "2", "--out", "/dev/shm/never"))
    says(done, poor, "temporary files", "TMPDIR")


def test_C09_a_working_folder_that_is_gone(poor):
    (poor / "gone").mkdir()
    done = subprocess.run(
        ["sh", "-c", 'cd gone && rmdir "$PWD" && exec "$@"', "sh", *command("run", poor / "study.yaml")],
        cwd=poor,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    says(done, poor, "the folder in which this was started is gone")

"""Workers that do not fit: found before the first point, named with the reason, and the sweep goes on with the others."""

from __future__ import annotations

import calendar
import contextlib
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client

import swath
from running import ENVIRONMENT, HOLD, Cluster, ran, until
from swath.objective import locate
from swath.run import Options
from swath.run import start as begin

SOURCE = ENVIRONMENT["PYTHONPATH"]
KEPT = "-all,+dac_read_search"
"""Capabilities of a stranger who may read this checkout, but write nothing of ours."""

ODD = """
import lib

def f(x):
    return lib.double(x)
"""


pytestmark = pytest.mark.filterwarnings("ignore::distributed.versions.VersionMismatchWarning")


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    yield started
    started.close()


@pytest.fixture
def cluster(scheduler):
    """The module's scheduler, without a worker before and after."""
    yield scheduler
    scheduler.dismiss()


@pytest.fixture
def study(tmp_path):
    (tmp_path / "study.py").write_text(HOLD)
    (tmp_path / "study.yaml").write_text("objective: study:nap\nparameters: {x: {range: [6]}}\n")
    (tmp_path / "held.yaml").write_text("objective: study:hold\nparameters: {x: {range: [6]}}\n")
    return tmp_path


def beside(folder, **files):
    """A folder that a worker has on its path, before swath; returns the path."""
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return os.pathsep.join((str(folder), SOURCE))


def release(folder, package, version):
    """A folder in which Python finds another version of a package; returns a worker's path."""
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    return os.pathsep.join((str(folder), SOURCE))


def start(folder, cluster, name="study", out="results"):
    return swath.load(folder / f"{name}.yaml").start(out=folder / out, scheduler=cluster.address)


def arrived(cluster, count):
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=60)


def noticed(handle, worker):
    """What was said about a worker."""

    def found():
        return [text for text in handle.snapshot.notices if text.startswith(f"worker {worker}: not used: ")]

    return until(found)[0]


def test_D11_other_versions_are_excluded_and_named(cluster, study):
    spoof = study / "spoof.py"
    spoof.write_text(
        "from distributed import versions\n"
        "real = versions.real = getattr(versions, 'real', versions.get_package_info)  # it is loaded twice\n"
        "versions.get_package_info = lambda names: {**real(names), 'python': '3.8.1.final.0'}\n"
    )
    cluster.hire("numpy", PYTHONPATH=release(study / "numpy", "numpy", "1.2.3"))
    cluster.hire("pyarrow", PYTHONPATH=release(study / "pyarrow", "pyarrow", "9.0.0"))
    cluster.hire(
        "swath", PYTHONPATH=beside(study / "old", sitecustomize="import swath\nswath.__version__ = '0.0.9'\n")
    )
    cluster.hire("python", options=("--no-nanny", "--preload", str(spoof)))
    with pytest.raises(swath.ClusterLostError, match=f"no worker of {cluster.address} can be used\nworker"):
        start(study, cluster, "held")
    cluster.hire("good")
    arrived(cluster, 5)
    handle = start(study, cluster, "held")
    for worker, text in {
        "numpy": "numpy 1.2.3 there, ",
        "pyarrow": "pyarrow 9.0.0 there, ",
        "swath": f"swath 0.0.9 there, {swath.__version__} here",
        "python": f"python 3.8.1 there, {sys.version_info[0]}.{sys.version_info[1]}.",
    }.items():
        assert text in noticed(handle, worker)
    (study / "go").touch()
    assert handle.wait(60)
    assert set(handle.finished().frame.worker) == {"good"}


def test_D12_what_a_worker_cannot_import_or_has_in_another_form(cluster, study):
    """A module that does not travel is missing there, another in an altered form, and one that does has a namesake."""
    (study / "odd.py").write_text(ODD)
    (study / "odd.yaml").write_text("objective: odd:f\nparameters: {x: {range: [6]}}\n")
    good = beside(study / "good", lib="def double(x):\n    return 2 * x\n")
    altered = Path(calendar.__file__).read_text() + "\n\ndef isleap(year):\n    return True\n"
    (study / "leap.yaml").write_text(
        "objective: calendar:isleap\nparameters: {year: {range: [1999, 2005]}}\n"
    )
    cluster.hire("bare")
    with pytest.raises(swath.ObjectiveError, match=r"worker bare: .*No module named 'lib'"):
        start(study, cluster, "odd")
    cluster.hire("good", PYTHONPATH=good)
    cluster.hire("altered", PYTHONPATH=beside(study / "altered", calendar=altered))
    cluster.hire(
        "namesake", PYTHONPATH=beside(study / "namesake", odd="f = len", lib="", sitecustomize="import odd")
    )
    arrived(cluster, 4)
    handle = start(study, cluster, "odd")
    assert handle.wait(60)
    assert handle.finished().frame["value"].tolist() == [0, 2, 4, 6, 8, 10]
    assert set(handle.finished().frame.worker) == {"good"}
    cluster.kill("good")
    cluster.kill("bare")
    with pytest.raises(swath.SwathError) as error:
        start(study, cluster, "odd", "again")
    assert "worker namesake: odd:f: module odd was imported from" in str(error.value)
    cluster.kill("namesake")
    with pytest.raises(swath.ObjectiveError, match=r"worker altered: .*calendar.py is not the calendar that"):
        start(study, cluster, "leap")


def test_D13_threads_folders_users_and_read_only_scratch(cluster, study):
    cluster.hire("many", options=("--no-nanny", "--nthreads", "8"))
    handle = start(study, cluster)
    assert handle.wait(60)
    assert handle.finished().statuses == {"ok": 6}
    assert handle.snapshot.workers[0].slots == 8
    cluster.dismiss()
    stranger = [
        "setpriv",
        "--reuid=nobody",
        "--clear-groups",
        *(f"--{kind}-caps={KEPT}" for kind in ("inh", "ambient")),
    ]
    probe = [*stranger, sys.executable, "-c", "import distributed, swath"]
    if shutil.which("setpriv") is None or subprocess.run(probe, env=ENVIRONMENT, check=False).returncode:
        pytest.skip("no worker can be started as the user nobody here")
    scratch, folder = study / "scratch", cluster.folder / "stranger"
    scratch.mkdir(mode=0o555)
    folder.mkdir()
    shutil.chown(folder, "nobody")
    cluster.hire("stranger", before=stranger, TMPDIR=str(scratch))
    (study / "who.py").write_text("import os\n\ndef f(x):\n    return os.getuid()\n")
    (study / "who.yaml").write_text("objective: who:f\nparameters: {x: {range: [6]}}\n")
    handle = start(study, cluster, "who")
    assert handle.wait(60)
    assert 0 not in handle.finished().frame["value"].tolist()


def test_D14_what_no_machine_here_has(cluster, study):
    for point, text in {
        "{cores: 4000}": "point.cores is 4000, but this machine has",
        "{memory: 900TiB}": "point.memory is 989,560,464,998,400 bytes, but this machine has",
    }.items():
        (study / "big.yaml").write_text(f"objective: study:nap\nparameters: {{x: [1]}}\npoint: {point}\n")
        with pytest.raises(swath.UsageError, match=text):
            swath.load(study / "big.yaml").run(out=study / "results", workers=1)
    cluster.hire("small")
    with pytest.raises(swath.ClusterLostError, match=f"worker small: {text}"):
        start(study, cluster, "big")
    assert not ran(study)
    assert not (study / "results/big").exists()


def test_D18_a_worker_whose_disk_is_full(cluster, study):
    full = study / "full"
    full.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(full)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        with contextlib.suppress(OSError):
            (full / "ballast").write_bytes(bytes(1 << 20))
        cluster.hire("full", options=("--no-nanny", "--local-directory", str(study)), TMPDIR=str(full))
        cluster.hire("good")
        definition = swath.load(study / "study.yaml").definition
        code = replace(
            locate("study:nap", study), root=str(study / "nowhere")
        )  # so that it has to be unpacked
        handle = begin(definition, Options(out=study / "results", scheduler=cluster.address), code=code)
        assert handle.wait(60)
        assert handle.finished().statuses == {"ok": 6}
        # Python looks for another folder; if there is none, the worker is excluded.
        assert all("No space left on device" in text for text in handle.snapshot.notices)
    finally:
        cluster.dismiss()
        subprocess.run(["umount", str(full)], check=True)

"""The driver's network is cut, in two namespaces of the kernel with a cable between them that these tests make.

The driver runs in one, scheduler and workers in the other. Nothing of this machine's own network is touched, and
everything disappears with the namespaces.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time

import pytest

import swath
from running import HOLD, PATIENCE, Cluster, begun, command, ran, until
from swath.engines.dask import Dask

NEAR, FAR = "10.213.7.1", "10.213.7.2"


class Cable:
    """Two namespaces and a cable between them."""

    def __init__(self) -> None:
        self.near, self.far = (f"swath-{os.getpid()}-{end}" for end in ("near", "far"))
        if shutil.which("ip") is None or os.getuid() != 0:
            pytest.skip("network namespaces need root and iproute2")
        for name in (self.near, self.far):
            if ip("netns", "add", name, check=False).returncode:
                self.remove()
                pytest.skip("this machine permits no network namespaces")
        ip(*("-n", self.near, "link", "add", "cable", "type", "veth"), *("peer", "cable", "netns", self.far))
        for name, address in ((self.near, NEAR), (self.far, FAR)):
            ip("-n", name, "address", "add", f"{address}/30", "dev", "cable")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", "cable", "up")

    def cut(self) -> None:
        ip("-n", self.far, "link", "set", "cable", "down")

    def mend(self) -> None:
        ip("-n", self.far, "link", "set", "cable", "up")

    def remove(self) -> None:
        for name in (self.near, self.far):
            ip("netns", "delete", name, check=False)


def ip(*words, check=True):
    return subprocess.run(["ip", *words], capture_output=True, check=check)


@pytest.fixture(scope="module")
def cable():
    made = Cable()
    yield made
    made.remove()


@pytest.fixture
def cluster(cable, tmp_path):
    (tmp_path / "cluster").mkdir()
    started = Cluster(tmp_path / "cluster", FAR, ("ip", "netns", "exec", cable.far)).hire("a", "b")
    for name in ("a", "b"):
        log = tmp_path / "cluster" / name / "log"
        until(lambda log=log: "Registered to:" in log.read_text())
    yield started
    started.close()
    cable.mend()


@pytest.fixture
def study(tmp_path):
    """A sweep of 30 points that wait until a file named ``go`` is there."""
    (tmp_path / "study.py").write_text(HOLD)
    (tmp_path / "held.yaml").write_text("objective: study:hold\nparameters: {x: {range: [30]}}\n")
    (tmp_path / "naps.yaml").write_text("objective: study:nap\nparameters: {x: {range: [100]}}\n")
    return tmp_path


def driver(cable, cluster, study, *options, name="held"):
    words = command("run", f"{name}.yaml", "--scheduler", cluster.address, "--insecure", *options)
    return begun("ip", "netns", "exec", cable.near, *words, folder=study)


def ended(process, code):
    _, said = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == code, said
    return said


def whole(study, name="held"):
    frame = swath.open(study / "results" / name).frame
    assert frame.value.tolist() == [x * x for x in range(len(frame))]
    assert set(frame.status) == {"ok"}
    assert set(frame.attempts) == {1}
    return frame


def test_D06_a_cut_of_a_second_and_one_of_a_minute(cable, cluster, study, pytestconfig):
    with driver(cable, cluster, study) as process:
        until(lambda: len(ran(study)) == 2)
        for seconds in (1.0, max(2.0, 60 * pytestconfig.getoption("--span"))):
            cable.cut()
            time.sleep(seconds)
            cable.mend()
        (study / "go").touch()
        ended(process, 0)
    assert len(whole(study)) == 30


def test_D06_a_peer_that_vanished_during_the_cut(cable, cluster, study):
    with driver(cable, cluster, study, "--wait", "10s") as process:
        until(lambda: len(ran(study)) == 2)
        cable.cut()
        cluster.stop()  # whose farewell never arrives: the driver's end of the connection stays open
        cable.mend()
        said = ended(process, 75)
    assert f"the scheduler at {cluster.address} is gone; waiting for it" in said
    assert "there was no worker for 10 s; the same command goes on" in said
    assert "Traceback" not in said
    cluster.dismiss()
    cluster.start()
    cluster.hire("c")
    (study / "go").touch()
    with driver(cable, cluster, study) as process:
        ended(process, 0)
    assert len(whole(study)) == 30


def test_D08_a_slow_network(study, tmp_path_factory, monkeypatch):
    submit, sent = Dask.submit, []

    def noting(engine, batches):
        sent.extend(batches)
        submit(engine, batches)

    monkeypatch.setattr(Dask, "submit", noting)
    cluster = Cluster(tmp_path_factory.mktemp("cluster")).hire("a", "b")
    host, _, port = cluster.address.removeprefix("tcp://").rpartition(":")
    try:
        with slowly((host, int(port)), 0.1) as near:
            handle = swath.load(study / "naps.yaml").start(out=study / "results", scheduler=near)
            assert handle.wait(60)
    finally:
        cluster.close()
    assert len(whole(study, "naps")) == 100
    assert (
        len(sent) < 50
    )  # with a journey of 0.2 s for each point, two workers would take 10 s instead of one


@contextlib.contextmanager
def slowly(address, delay):
    """A way to an address on which everything takes longer, by so many seconds in either direction."""

    def carry(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                time.sleep(delay)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()

    def accept():
        with contextlib.suppress(OSError):
            while True:
                near, _ = server.accept()
                far = socket.create_connection(address)
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=carry, args=ends, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = threading.Thread(target=accept, daemon=True)
        listener.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    listener.join(PATIENCE)

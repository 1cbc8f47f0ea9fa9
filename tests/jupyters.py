"""A Jupyter server in a process of its own, whose proxy stands between a browser and our pages."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from running import ENVIRONMENT, until

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "tests"
EXTENSIONS = {"jupyter_server_proxy": True, "jupyterlab": False, "jupyter_lsp": False, "notebook": False}
"""The proxy alone; the others only take time to load."""


class Jupyter:
    """What a JupyterHub gives a user: a server that wants a token, and lets loopback's ports be seen under its own address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "jupyter_server_config.json").write_text(
            json.dumps({"ServerApp": {"jpserver_extensions": EXTENSIONS, "port": 0, "root_dir": str(folder)}})
        )
        own = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "HOME")
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser"),
                    *("--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={TOKEN}"),
                ],
                cwd=folder,
                env={**ENVIRONMENT, **dict.fromkeys(own, str(folder)), "TMPDIR": str(folder)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.address: str = until(self._address)

    def _address(self) -> str:
        assert self._process.poll() is None, (self._folder / "log").read_text()
        for path in self._folder.glob("jpserver-*.json"):
            with contextlib.suppress(ValueError):  # it is being written
                return str(json.loads(path.read_text())["url"]).rstrip("/")
        return ""

    @property
    def entrance(self) -> str:
        """An address that lets a browser in: from then on it has a cookie."""
        return f"{self.address}/api/status?token={TOKEN}"

    def proxied(self, address: str) -> str:
        """Return where the proxy shows what listens at an address on this machine."""
        there = urlsplit(address)
        return f"{self.address}/proxy/{there.port}" + there._replace(scheme="", netloc="").geturl()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(60)

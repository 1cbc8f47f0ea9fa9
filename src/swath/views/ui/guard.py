"""Who may see the pages: a link that works once, a cookie for one browser, and the names under which the server answers.

Theory of operation. The server listens on loopback, where every program and every user of the machine can reach it, and
every web page that a browser of this machine shows. So four things are asked of each request, the first that fails
refuses it:

- its method reads (GET or HEAD): there is nothing to change;
- its ``Host`` is a name of this machine, or one that was allowed. A page of somebody else's whose name was made to point
  here (DNS rebinding) comes with its own;
- its ``Origin``, where there is one, is the very host that it asks, or one that was allowed. A websocket must have one: browsers
  always send it, and it is all that keeps foreign pages out of websockets;
- it has the cookie.

The cookie is given for a token, which is part of the link that the terminal shows and which is spent with that. Tokens
and cookies are random and only live in this process; they are compared in constant time. Cookies do not tell ports
apart, so the cookie is named after ours.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
READING = ("GET", "HEAD")
AGAIN = "Each link works once, for one browser. Start swath ui again to get a new one."

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", re.ASCII)
_ORIGIN = re.compile(r"https?://(?P<host>[^/?#@\\]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a request decides whether it is answered; a header that is missing is None."""

    method: str
    host: str | None
    origin: str | None
    cookie: str | None
    websocket: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP status, and why, in words for whoever sees the page."""

    status: int
    text: str


class Guard:
    """Decides about requests.

    Parameters
    ----------
    allowed : iterable of str
        Names, besides those of this machine, under which a proxy may ask; ``host`` or ``host:port``.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = frozenset(name.lower() for name in allowed)
        self._tokens: list[bytes] = []
        self._cookies: list[bytes] = []

    def token(self) -> str:
        """Return a new token, which can be exchanged once."""
        return _issue(self._tokens)

    def exchange(self, token: str) -> str | None:
        """Return a cookie for a token, which is spent by that; None if it is none of ours, or was spent before."""
        spent = _known(token, self._tokens)
        if spent is None:
            return None
        self._tokens.remove(spent)
        return _issue(self._cookies)

    def knows(self, cookie: str | None) -> bool:
        """Tell whether a cookie is one that was given."""
        return cookie is not None and _known(cookie, self._cookies) is not None

    def stranger(self, asked: Asked) -> Refusal | None:
        """Say what is wrong with a request, whoever makes it; None if nothing is."""
        if asked.method not in READING:
            return Refusal(405, f"{asked.method:.20}: these pages can be read, not changed.")
        host = (asked.host or "").lower()
        name = _HOST.fullmatch(host)
        if name is None or not (name["name"] in LOOPBACK or self._is_allowed(host, name["name"])):
            return Refusal(
                403,
                f"swath ui answers under 127.0.0.1 and localhost, not under {host[:100]!r}. If that is a proxy of "
                "yours, allow it with --allow-host NAME.",
            )
        if asked.websocket and asked.origin is None:
            return Refusal(403, "A websocket without Origin is not from a browser.")
        if asked.origin is not None and not self._is_own(asked.origin.lower(), host):
            return Refusal(403, f"A page of {asked.origin[:100]!r} has no business here.")
        return None

    def refusal(self, asked: Asked) -> Refusal | None:
        """Say why a request is not answered; None if it is."""
        wrong = self.stranger(asked)
        if wrong is None and not self.knows(asked.cookie):
            return Refusal(403, f"This browser has not opened a link that swath ui has printed. {AGAIN}")
        return wrong

    def _is_own(self, origin: str, host: str) -> bool:
        found = _ORIGIN.fullmatch(origin)
        if found is None:
            return False
        name = _HOST.fullmatch(found["host"])
        return found["host"] == host or (name is not None and self._is_allowed(found["host"], name["name"]))

    def _is_allowed(self, host: str, name: str) -> bool:
        return host in self._allowed or name in self._allowed


def _issue(secret: list[bytes]) -> str:
    made = secrets.token_urlsafe(32)
    secret.append(made.encode())
    return made


def _known(word: str, secret: list[bytes]) -> bytes | None:
    """Return the one among secret words that equals a word, having looked at all of them."""
    given = word.encode(errors="replace")
    found = [item for item in secret if compare_digest(item, given)]
    return found[0] if found else None

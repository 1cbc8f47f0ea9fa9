"""Section F, the pages of ``swath ui``: who may see them, from where, and under which name."""

from __future__ import annotations

import itertools
import socket

import pytest

import swath
from serving import HANDSHAKE, serving

PAGES = (
    "/",
    "/rows",
    "/run?name=small",
    "/point?name=small&point=0",
    "/download?name=small",
    "/assets/ui.css",
)
INNER = (
    "/static/js/bokeh.min.js",
    "/run/ws",
    "/run/metadata",
    "/run/autoload.js",
    "/favicon.ico",
    "/nothing",
)


def double(x):
    return 2 * x


def complain(x, **others):
    raise ValueError(f"<script>alert({x!r})</script> \x1b[2J \u202e =1+1 {len(others)}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    sweep = swath.Sweep(double, {"x": [1, 2, 3]}, name="small")
    sweep.run(engine="inline", out=folder / "results")
    hostile = {"x": ["<img src=x onerror=alert(1)>", "=2+2"], "<b>y": [1, 2]}
    swath.Sweep(complain, hostile, name="hostile").run(engine="inline", out=folder / "results")
    return folder


@pytest.fixture(scope="module")
def site(folder):
    with serving(folder=folder) as site:
        yield site


@pytest.fixture(scope="module")
def guest(site):
    site.enter()
    return site


def test_F03_without_the_token_every_address_is_refused(folder):
    with serving(folder=folder) as site:
        for path in (*PAGES, *INNER):
            answer = site.ask(path)
            assert answer.status == 403, path
            assert path == "/run/ws" or "Start swath ui again to get a new one" in answer.text
            assert "small" not in answer.text
            assert "Set-Cookie" not in answer.headers
        assert site.enter().status == 200  # and that has not spent it


def test_F03_a_token_works_once_and_only_as_it_is(folder):
    with serving(folder=folder) as site:
        token = site.query.removeprefix("token=")
        for wrong in ("%20", token.swapcase(), token[:-1], token + "A", "x" * 10_000, "%00", "%C3%A9"):
            answer = site.ask(f"/?token={wrong}")
            assert answer.status == 403
            assert "wrong or spent" in answer.text
        assert site.ask(f"/?{site.query}&{site.query}").status == 200
        site.cookie = ""
        again = site.ask(f"/?{site.query}")
        assert (again.status, again.headers["Set-Cookie"]) == (403, None)
        assert "Start swath ui again to get a new one" in again.text


def test_F03_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(folder, guest):
    answer = guest.ask("/?token=stale")  # a browser that is in already may use an old link
    assert answer.status == 200
    with serving(folder=folder) as other:
        told = other.enter().headers["Set-Cookie"]
        name, _, attributes = told.partition("=")
        assert name == f"swath-{other.port}"  # browsers send the cookies of one port to all of them
        assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in attributes.split(";")}
        assert "Path" not in told  # that of the page, whatever the prefix of a proxy
        other.cookie = f"swath-{other.port}={guest.cookie.partition('=')[2]}"
        assert other.get().status == 403  # that of another server is none


def test_F03_the_token_goes_nowhere_else(folder):
    with serving(folder=folder, BOKEH_PY_LOG_LEVEL="debug") as site:
        token = site.query.removeprefix("token=")
        entered = site.enter()
        secrets = (token, site.cookie.partition("=")[2])
        pages = [entered, *map(site.ask, PAGES)]
        assert {page.status for page in pages} == {200}
        for page in pages:
            assert page.headers["Referrer-Policy"] == "no-referrer"
            assert not any(secret in page.text for secret in secrets)
        site.ask(f"/?token={token}", Cookie="")
        arguments = open(f"/proc/{site.process.pid}/cmdline").read()  # noqa: PTH123, SIM115
        site.process.terminate()
        out, err = site.process.communicate()
        assert not any(secret in text for secret in secrets for text in (out, err, arguments))


def test_F03_every_answer_says_how_it_may_be_used(guest):
    answers = [*map(guest.ask, (*PAGES, *INNER[:1], "/nothing")), guest.ask("/", Host="evil.example")]
    for answer in answers:
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "Server" not in answer.headers
    assert all(guest.ask(path).headers["Cache-Control"] == "no-store" for path in PAGES)


def test_F03_nothing_can_be_changed(guest):
    for method, path in itertools.product(("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"), PAGES):
        answer = guest.ask(path, method=method, Content_Length="0")
        assert answer.status == 405, (method, path)


def test_F03_only_the_pages_that_are_known_answer(guest):
    for path in (
        "/run/metadata",
        "/run/autoload.js",
        "/run/",
        "//",
        "/nothing",
        "/static/js/../../x",
        "/assets/../server.py",
    ):
        assert guest.ask(path).status == 404, path


def test_F03_it_listens_on_loopback_only(site):
    with socket.socket() as there:
        there.settimeout(2)
        there.connect(("127.0.0.1", site.port))
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in others - {"127.0.0.1"}:
        with socket.socket() as there:
            there.settimeout(2)
            assert there.connect_ex((address, site.port)) != 0


def test_F04_the_page_itself_opens_its_websocket(guest):
    answer = guest.socket("small")
    assert answer.status == 101
    assert answer.headers["Sec-WebSocket-Protocol"] == "bokeh"


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://evil.example",
        "http://127.0.0.1.evil.com",
        "http://127.0.0.1.evil.com:{port}",
        "http://localhost:{port}.evil",
        "http://127.0.0.1:{port}.evil",
        "http://127.0.0.1:{port}@evil.example",
        "http://evil.example/http://127.0.0.1:{port}",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://localhost:{port}",  # the page was not asked under this name
        "https://[::1]:{port}",
        "file://",
        "chrome-extension://127.0.0.1:{port}",
        "127.0.0.1:{port}",
        "http://127.0.0.1:{port}/",
        "http://127.0.0.1:{port} http://evil.example",
    ],
)
def test_F04_a_websocket_of_another_origin_is_refused(guest, origin):
    assert guest.socket("small", Origin=origin.format(port=guest.port)).status == 403


def test_F04_a_websocket_without_the_cookie_is_refused(guest):
    assert guest.socket("small", Cookie="").status == 403
    assert guest.socket("small", Cookie=f"swath-{guest.port}=guess").status == 403


def test_F04_a_page_elsewhere_cannot_read(guest):
    answer = guest.ask("/rows", Origin="http://evil.example")
    assert answer.status == 403
    assert "Access-Control-Allow-Origin" not in guest.ask("/rows").headers


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.com", "localhost.evil", "0.0.0.0", "", "a b", "[::2]"]
)
def test_F05_a_name_that_is_not_ours_is_refused(guest, host):
    for path in (*PAGES, f"/?{guest.query}"):
        answer = guest.ask(path, Host=host and f"{host}:{guest.port}")
        assert answer.status in ({400, 403} if host in ("", "a b") else {403}), (
            path
        )  # Tornado knows no such host
        assert "small" not in answer.text


def test_F05_a_websocket_under_such_a_name_is_refused(guest):
    name = f"evil.example:{guest.port}"
    assert guest.socket("small", Host=name, Origin=f"http://{name}").status == 403


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:{port}", "LOCALHOST:8888", "[::1]:{port}", "127.0.0.1"]
)
def test_F05_names_of_this_machine_are_answered_whatever_the_port(guest, host):
    name = host.format(port=guest.port)  # a proxy on this machine has another
    assert guest.ask("/rows", Host=name).status == 200
    assert guest.socket("small", Host=name, Origin=f"http://{name.lower()}").status == 101


def test_F05_a_proxy_is_answered_if_its_name_was_allowed(folder):
    with serving("--allow-host", "Hub.example", folder=folder) as site:
        site.enter()
        assert site.ask("/rows", Host="hub.example").status == 200
        assert site.socket("small", Host="hub.example", Origin="https://hub.example").status == 101
        assert (
            site.socket("small", Origin="https://hub.example").status == 101
        )  # a proxy that tells our own name
        assert site.ask("/rows", Host="evil.hub.example").status == 403
        assert site.socket("small", Host="hub.example", Origin="https://evil.example").status == 403
        assert site.ask("/rows", Host="hub.example", Cookie="").status == 403


def test_F04_a_handshake_needs_no_more_than_the_page_has(guest):
    assert guest.ask("/run/ws", **HANDSHAKE, Origin=f"http://127.0.0.1:{guest.port}", Cookie="").status == 403


def test_F08_what_a_run_says_stays_text_on_every_page(guest):
    texts = [guest.get(page, name="hostile", point=0).text for page in ("", "rows", "run", "point")]
    for text in texts:
        assert not any(bad in text for bad in ("<img", "<script>alert", "<b>y", "\x1b", "\u202e"))
    assert "&lt;img src=x onerror=alert(1)&gt;" in texts[-1]
    assert "&lt;b&gt;y" in texts[-1]
    assert r"\x1b[2J \u202e =1+1" in texts[-1]


def test_F08_a_download_for_spreadsheets_has_no_formulas(guest):
    text = guest.get("download", name="hostile", format="csv").text
    assert "'=2+2," in text
    assert "\x1b" not in text
    assert "\n=" not in text
    assert ",=" not in text

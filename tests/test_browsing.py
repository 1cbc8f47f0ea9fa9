"""The browser of the tests, looked at itself: what it complains about, and what it leaves alone."""

from __future__ import annotations

import asyncio
import http.server
import threading

import pytest

import swath


def page(body):
    return f"data:text/html,<title>t</title>{body}"


@pytest.fixture
def served(tmp_path):
    """A folder behind a web server."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def complaints(viewer):
    """What a viewer complains about, taken as expected."""
    found = viewer.complaints()
    viewer.expect("")
    return found


def test_a_quiet_page_is_no_complaint(viewer, tmp_path):
    tab = viewer.open(page("<p>calm</p>"))
    assert tab.inner_text("p") == "calm"
    viewer.shots = tmp_path / "shots"
    assert viewer.shot(tab, "calm").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("console.warn('w')", "console warning: w"),
        ("console.error('e')", "console error: e"),
        ("throw new Error('x')", "exception: Error: x"),
        ("alert(1)", "dialog: 1"),
    ],
)
def test_what_a_script_should_not_do_is_a_complaint(viewer, script, complaint):
    viewer.open(page(f"<script>{script}</script>"))
    assert viewer.until(lambda: complaints(viewer))[0].startswith(complaint)


def test_a_request_that_leaves_the_machine_is_a_complaint_and_does_not_arrive(viewer):
    viewer.open(page("<img src='http://example.org/a.png'><img src='http://192.0.2.1/b.png'>"))
    heard = viewer.until(
        lambda: sum("request failed" in note for note in viewer.notes) == 2 and complaints(viewer)
    )
    for host in ("http://example.org/a.png", "http://192.0.2.1/b.png"):
        assert f"request that leaves this machine: {host}" in heard
        assert any(f"request failed: GET {host}: net::ERR_NAME_NOT_RESOLVED" in text for text in heard)


def test_what_is_not_there_is_a_complaint_unless_expected(viewer, served):
    viewer.expect("answer 404")
    viewer.open(f"{served}/nothing")
    assert any(f"answer 404: GET {served}/nothing" in note for note in viewer.notes)


def test_a_page_behind_jupyters_proxy_is_seen_with_the_token_only(jupyter, viewers, served, tmp_path):
    (tmp_path / "a.html").write_text("<p>a")
    stranger, user = viewers(), viewers()
    assert "/login" in stranger.open(jupyter.proxied(f"{served}/a.html")).url
    user.open(jupyter.entrance)
    assert user.open(jupyter.proxied(f"{served}/a.html")).inner_text("p") == "a"


def test_viewers_share_no_cookies(viewers, served, tmp_path):
    (tmp_path / "a.html").write_text("<p>a")
    first, second = viewers(), viewers()
    tab = first.open(f"{served}/a.html")
    tab.evaluate("document.cookie = 'who=first'")
    assert second.open(f"{served}/a.html").evaluate("document.cookie") == ""


@pytest.mark.usefixtures("viewer")
def test_a_sweep_may_run_in_this_process_while_somebody_looks(tmp_path):
    results = swath.Sweep(lambda x: x * x, {"x": [3, 4]}).run(out=tmp_path, workers=1)
    assert list(results.frame["value"]) == [9, 16]


def test_asyncio_works_after_a_browser_was_used(chromium):
    """The browser lives on between tests, but its loop does not count as running."""

    async def three():
        await asyncio.sleep(0)
        return 3

    assert asyncio.run(three()) == 3
    with chromium.attended():
        assert asyncio.get_running_loop().is_running()
    assert asyncio.run(three()) == 3

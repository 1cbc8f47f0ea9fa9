"""``swath ui`` over HTTP: the list of runs, a point, downloads, what cannot be read; how it starts and ends."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import socket
from types import SimpleNamespace

import pandas as pd
import pytest

import swath
from running import ask, until
from serving import serving
from swath.commands.ui import _explain
from swath.views.ui import pages

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ui")
    (folder / "study.py").write_text(
        "HOSTILE = '<img src=x onerror=alert(1)>'\n"
        "def work(x, y):\n"
        "    print(f'printed {HOSTILE} \\x1b[31mred\\x1b[0m \\u202ereversed')\n"
        "    if x == 2:\n"
        "        raise ValueError(f'bad {HOSTILE} \\x1b[2J')\n"
        "    return {'loss': x + len(str(y)) / 100, '=formula': f'=1+{x}', 'curve': [x] * 9}\n"
    )
    (folder / "study.yaml").write_text(
        f"objective: study:work\nparameters: {{x: [0, 1, 2, 3], y: ['a', '{HOSTILE}', '=2+2']}}\nminimize: loss\n"
    )
    ask("run", "study.yaml", "-n", "1", folder=folder, code=3)
    shutil.copytree(folder / "results/study", folder / "results/<b>&copy")
    return folder


@pytest.fixture(scope="module")
def site(folder):
    with serving(folder=folder) as site:
        site.enter()
        yield site


@pytest.fixture
def results(folder):
    return swath.open(folder / "results/study")


def test_the_list_tells_of_every_run(site, results):
    found = until(
        lambda: "9 ok" in site.get().text or (re.search(r"12 of 12", site.get().text) and site.get())
    )
    text = found.text
    assert "complete" in text
    assert ">3<" in text.replace(" ", "")  # failed
    assert f"loss = {results.best()['loss'].iloc[0]:.6g}" in text
    assert "run?name=study" in text


def test_the_list_is_told_again_without_its_surroundings(site):
    whole, rows = site.get().text, site.get("rows").text
    assert rows.strip() in whole
    assert "<html" not in rows


def test_the_list_counts_points_that_were_stopped_early_where_there_are_any(site):
    rows = site.get("rows").text
    assert "stopped early" not in rows
    entry = {"name": "a", "state": "complete", "done": 9, "total": 9, "failed": 0, "metric": "", "best": None}
    entry |= {"started": "", "updated": "", "bytes": 1, "note": "", "sound": True}
    entries = [{**entry, "pruned": 7}, {**entry, "pruned": 0}, {**entry, "pruned": 0, "sound": False}]
    told = pages.page("rows.html", runs=entries)
    assert told.count('<th class="number">stopped early</th>') == 1
    assert re.findall(r'<td class="number">(\d+)</td>', told) == ["7", "0", "0", "0"]
    assert 'colspan="7"' in told


def test_names_of_runs_stay_text(site):
    text = site.get().text
    assert "&lt;b&gt;&amp;copy" in text
    assert "run?name=%3Cb%3E%26copy" in text
    assert "<b>&copy" not in text


def test_a_folder_without_runs_says_how_to_make_one(tmp_path):
    with serving(folder=tmp_path) as site:
        site.enter()
        assert "swath run FILE" in site.get().text


def test_a_point_tells_what_show_tells(site, results, folder):
    point = int(results.failures.index[0])
    text = site.get("point", name="study", point=point).text
    shown = json.loads(ask("show", "study", str(point), "--json", folder=folder).stdout)
    assert f"Point {point}" in text
    assert shown["content_id"] in text
    assert "ValueError: bad" in text  # the traceback
    assert "study.py" in text
    assert "swath run study.yaml --point" in text
    assert shown["worker"] in text


def test_the_traceback_and_the_log_of_a_point_stay_text(site, results):
    text = site.get("point", name="study", point=int(results.failures.index[1])).text
    assert "<img" not in text
    assert "printed &lt;img src=x onerror=alert(1)&gt;" in text
    assert "bad &lt;img src=x onerror=alert(1)&gt;" in text
    assert "\x1b" not in text
    assert r"\x1b[31mred" in text
    assert "\u202e" not in text
    assert r"\u202ereversed" in text


def test_what_a_point_gave_is_written_in_full_but_for_long_lists(site, results):
    point = int(results.frame.index[results.frame["x"] == 1][0])
    text = site.get("point", name="study", point=point).text
    assert repr(float(results.frame.loc[point, "loss"])) in text
    assert "(9 values)" in text


@pytest.mark.parametrize("point", ["99", "-1", "x", "", "<script>", "0'"])
def test_a_point_that_there_is_not_is_a_sentence(site, point):
    answer = site.get("point", name="study", point=point)
    assert answer.status == 200
    assert 'class="sentence"' in answer.text
    assert "<script" not in answer.text


@pytest.mark.parametrize(
    "name", ["nothing", "..", "../results/study", "", "study/", "/etc", "~", "a\x00b", HOSTILE]
)
def test_only_runs_of_the_folder_are_opened(site, name):
    for page in ("point", "download"):
        answer = site.get(page, name=name, point=0)
        assert "there is no run" in answer.text
        assert "<img" not in answer.text
    assert site.get("download", name=name).status == 404


def downloaded(site, **words):
    answer = site.get("download", name="study", **words)
    assert answer.status == 200, answer.text
    return answer


def test_a_download_has_every_column_of_the_rows(site, results):
    answer = downloaded(site, format="parquet")
    read = pd.read_parquet(io.BytesIO(answer.body))
    assert list(read.columns) == ["point", *results.frame.columns]
    assert read["loss"].equals(results.frame["loss"].reset_index(drop=True))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="study.parquet"'


def test_a_download_for_spreadsheets_runs_nothing(site):
    answer = downloaded(site, format="csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    heads, *rows = answer.text.splitlines()
    assert "'=formula" in heads
    assert any(",'=2+2," in row for row in rows)
    assert any("'=1+3" in row for row in rows)
    assert "\x1b" not in answer.text


def test_a_download_is_what_was_chosen(site, results):
    frame = results.frame
    read = pd.read_csv(io.BytesIO(downloaded(site, where='status == "ok" and x < 2').body))
    assert list(read["point"]) == list(frame.index[(frame["status"] == "ok") & (frame["x"] < 2)])
    read = pd.read_csv(io.BytesIO(downloaded(site, points="0-1,5").body))
    assert list(read["point"]) == [0, 1, 5]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"where": "nothing < 1"}, "nothing"),
        ({"where": "x <"}, "at its end"),
        ({"where": "__import__('os').system('true')"}, "expression"),
        ({"points": "5-1"}, "expected ranges of indices"),
        ({"points": "9" * 30}, "expected ranges of indices"),
        ({"between": "a:b:x"}, "expected LOW:HIGH:NAME"),
        ({"between": "0:1:nothing"}, "there is no axis"),
        ({"format": "xlsx"}, "csv, parquet"),
    ],
)
def test_a_choice_that_cannot_be_read_is_a_sentence(site, words, told):
    answer = site.get("download", name="study", **words)
    assert answer.status == 404
    assert told in answer.text


def test_a_download_has_a_harmless_file_name(site):
    name = site.get("download", name="<b>&copy").headers["Content-Disposition"]
    assert name == 'attachment; filename="_b__copy.csv"'


def test_two_runs_are_compared(site):
    choice = site.get("compare", name="study").text
    assert "compare?name=study&amp;other=%3Cb%3E%26copy" in choice
    told = site.get("compare", name="study", other="<b>&copy").text
    assert "12 points in both" in told
    assert "<b>&copy" not in told
    for words in ({"name": "nothing"}, {"name": "study", "other": "nothing"}):
        answer = site.get("compare", **words)
        assert (answer.status, "there is no run" in answer.text) == (404, True)


def test_addresses_are_relative_so_that_any_prefix_will_do(site):
    for page in ("", "rows", "run?name=study", "point?name=study&point=0", "compare?name=study"):
        text = site.ask(f"/{page}").text
        for address in re.findall(r"""(?:href|src|action|url)=["']?([^"'> ]+)""", text):
            assert not re.match(r"[a-z]+:(?!,)|/", address) or address == "data:,", address


def test_a_run_that_is_damaged_is_listed_with_the_reason(site, folder):
    broken = folder / "results/broken"
    shutil.copytree(folder / "results/study", broken)
    for manifest in broken.glob("manifest.json*"):
        manifest.write_text("{}")
    try:
        text = site.get().text
        assert "damaged" in text
        assert "manifest.json" in text
        assert site.get("point", name="broken", point=0).status == 200
        answer = site.get("download", name="broken")
        assert answer.status == 404
        assert "manifest" in answer.text
        assert site.get("run", name="broken").status == 200
    finally:
        shutil.rmtree(broken)
    assert "broken" not in site.get("rows").text
    assert "there is no run" in site.get("download", name="broken").text


def test_a_run_whose_rows_are_damaged_shows_the_others(site, folder):
    hurt = folder / "results/hurt"
    shutil.copytree(folder / "results/study", hurt)
    for segment in (hurt / "segments").iterdir():
        segment.write_bytes(b"not arrow")
    try:
        assert "not run yet" in site.get("point", name="hurt", point=0).text
        assert site.get("download", name="hurt").status == 200
    finally:
        shutil.rmtree(hurt)


def test_the_run_that_is_named_is_shown_first(folder):
    with serving("results/study", folder=folder) as site:
        assert "url=run?name=study" in site.enter().text.replace("; ", ";")
        assert site.process.poll() is None


def test_a_run_that_there_is_not_is_refused(folder):
    done = ask("ui", "--no-browser", "studi", folder=folder, code=2)
    assert "did you mean 'study'?" in done.stderr
    assert done.stdout == ""


def test_a_port_can_be_chosen_and_one_that_is_taken_is_named(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = ask("ui", "--no-browser", "--port", str(port), folder=folder, code=2)
        assert f"port {port} on 127.0.0.1 cannot be used" in done.stderr
        assert "leave --port out" in done.stderr
    with serving("--port", port, folder=folder) as site:
        assert site.port == port


def test_a_folder_that_is_not_there_is_told(tmp_path, capsys):
    _explain(SimpleNamespace(port=1), tmp_path / "nowhere", print)
    assert "nowhere, which does not exist yet. The address" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it(folder, number, code):
    with serving(folder=folder, SSH_CONNECTION="10.0.0.1 22 10.0.0.2 22") as site:
        site.enter()
        site.process.send_signal(number)
        out, err = site.process.communicate(timeout=60)
        assert site.process.returncode == code
        assert out == ""  # the address was all
        assert f"ssh -N -L {site.port}:127.0.0.1:{site.port}" in err
        assert "Traceback" not in err

"""The report of a run: one file, whole or not at all, that says in words and figures what the store says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html import unescape

import pytest
import yaml

from running import ENVIRONMENT
from saving import Session, study
from swath.commands.again import beginning
from swath.commands.report import write
from swath.errors import CannotWriteError, UsageError
from swath.results import Results
from swath.views.report import LARGEST, report
from swath.views.summary import paragraphs

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The folder of a run of twelve points, of which ten have a row, in the current folder."""
    monkeypatch.chdir(tmp_path)
    definition = study(
        parameters={"a": [1, 2], "b": {"geomspace": [1, 100, 3]}, "c": 5, "seed": {"seeds": 2}}
    )
    statuses = ["ok", "ok", "error", "ok", "ok", "ok", "timeout", "error", "ok", "ok"]
    error = [None if status != "ok" else float(i) - 1 for i, status in enumerate(statuses)]
    with Session(tmp_path / "results/study", definition) as session:
        session.save(0, 10, statuses=statuses, error=error)
    return tmp_path / "results/study"


def said(study):
    """The summary as a person reads it."""
    return [unescape(re.sub(r"<[^>]+>", "", text)) for text in paragraphs(study)]


def data_of(page):
    """What the figures of a page hold."""
    (text,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    return json.loads(unescape(text))


# Words.


def test_the_summary_says_what_the_store_says(run):
    swept, spent, best, failed = said(Results(run).study)
    assert swept == (
        "10 of 12 points evaluated. 2 have no row yet. Varied: a (1, 2); b (1, 10, 100); seed (2 replicates). Constant: c = 5."
    )
    assert spent == (
        "From the first start to the last end it took 250 ms, on 1 worker, which spent 2.5s on points: half of them took up "
        "to 250 ms, the slowest, point 0, 250 ms."
    )
    assert re.fullmatch(r"Best: error = -1 at point 0, with a = 1, b = 1, seed = \d+\.", best)
    assert failed == (
        "3 points failed (30 %: 2 error, 1 timeout). Most often: 2 times error at 2 and the like, such as point 2; "
        "1 time timeout at 6, such as point 6."
    )


def test_the_summary_of_a_run_without_rows(tmp_path):
    with Session(tmp_path / "study", study(parameters={"a": 1}, minimize=None)):
        found = Results(tmp_path / "study").study
    assert said(found) == ["0 of 1 point evaluated. 1 have no row yet. No parameter varies. Constant: a = 1."]
    assert "<h1>study</h1>" in report(found)


# The page.


def test_the_page_holds_what_people_ask_for_and_asks_for_nothing(run, tmp_path):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(Results(run).definition.source))
    write(run, "x.html", "<img src=x onerror=alert(1)>")
    page = (tmp_path / "x.html").read_text()
    assert len(page.encode()) <= LARGEST
    assert "default-src 'none'" in page
    own = re.sub(r"<script[^>]*>.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)
    assert not re.findall(r"(?:src|href)\s*=\s*[\"']?(?:https?:|//)", own)
    assert "<h1>&lt;img src=x onerror=alert(1)&gt;</h1>" in own
    assert "<title>&lt;img src=x onerror=alert(1)&gt;</title>" in own
    assert "bokeh-gl" not in page
    assert "bokeh-mathjax" not in page
    text = json.dumps(data_of(page))
    assert "timeout at 6" in text
    assert f"swath show {run}" in text
    assert "swath run study.yaml --point" in text


def test_large_texts_make_fewer_marks_not_a_larger_file(tmp_path):
    n = 3000
    definition = study(parameters={"a": {"range": [n]}})
    with Session(tmp_path / "study", definition) as session:
        session.save(0, n, error=[1.0] * n, **{f"text{i}": ["x" * 80] * n for i in range(8)})
    page = report(Results(tmp_path / "study").study)
    assert len(page.encode()) <= LARGEST
    assert re.search(r"[\d,]+ of 3,000 points", json.dumps(data_of(page)))


def test_the_command_that_repeats_a_point_is_given_if_a_file_has_these_points(run, tmp_path):
    definition = Results(run).definition
    assert beginning(definition) == ""
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(definition.source))
    assert beginning(definition) == "swath run study.yaml --point"
    (tmp_path / "study.yaml").write_text("objective: m:f\nparameters: {a: [1]}\n")
    assert beginning(definition) == ""


# The command.


def swath(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "swath", *map(str, words)],
        capture_output=True,
        cwd=cwd,
        env=ENVIRONMENT,
        timeout=60,
        check=False,
    )


def test_the_command_writes_one_file(run, tmp_path):
    done = swath("report", "study", "-o", "my report.html", "--title", "On errors", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode().startswith("Written: my report.html (")
    assert "<h1>On errors</h1>" in (tmp_path / "my report.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my report.html", "results"]
    assert run.is_dir()


def test_a_dash_is_standard_output(run, capfdbinary, monkeypatch):
    monkeypatch.setattr("swath.commands.report._page", lambda *_: "<!DOCTYPE html>\n</html>\n")
    assert write(run, "-", "") == ""
    page = capfdbinary.readouterr().out.decode()
    assert page.lstrip().startswith("<!DOCTYPE html>")
    assert page.rstrip().endswith("</html>")
    assert [path.name for path in run.parent.parent.iterdir()] == ["results"]


def test_a_report_replaces_a_report_and_nothing_else(run, tmp_path, monkeypatch):
    write(run, None, "first")
    monkeypatch.setattr("swath.commands.report._page", lambda _, title: f"<h1>{title}</h1>")  # sooner
    write(run, None, "second")
    assert "<h1>second</h1>" in (tmp_path / "study.html").read_text()
    (tmp_path / "study.html").write_text("<html>mine</html>")
    with pytest.raises(UsageError, match=r"study\.html is there already, and no report; choose another: -o"):
        write(run, None, "third")
    assert (tmp_path / "study.html").read_text() == "<html>mine</html>"


def test_files_of_the_run_are_left_alone(run, tmp_path):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    (tmp_path / "link").symlink_to(run)
    for path in (run / "manifest.json", run / "segments/x.html", tmp_path / "link/run.json"):
        with pytest.raises(UsageError, match=r"is a file of the run itself; choose another: -o report\.html"):
            write(run, str(path), "")
    with pytest.raises(UsageError, match=r"results is a folder; name a file: -o .*results/report.html"):
        write(run, str(run.parent), "")
    with pytest.raises(CannotWriteError, match=r"cannot write .*nowhere/x\.html: No such file or directory"):
        write(run, str(tmp_path / "nowhere/x.html"), "")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_damage_is_said_first(run, tmp_path):
    (segment,) = (run / "segments").iterdir()
    segment.write_bytes(segment.read_bytes()[:-3])
    write(run, "x.html", "")
    assert re.search(
        r'<p class="warning">segments/\d+.arrow: .*10 rows are missing</p>', (tmp_path / "x.html").read_text()
    )

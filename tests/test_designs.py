"""Designs that are run: the same to the last bit however that is done, and more draws run what is new."""

from __future__ import annotations

from contextlib import suppress

import psutil
import pytest
from pandas.testing import assert_frame_equal

import swath
from running import ask, assert_same, begun, command, family, outcome, ran, until
from swath.errors import DefinitionError
from swath.views.notebook.sweep import sweep

NAPS = 80
MODEL = '''
import time
from pathlib import Path

HERE = Path(__file__).parent


def seen(product, m, seed, lr, width, decay, depth, kind, extra=-1.0):
    """Return what arrived, as it arrived."""
    with open(HERE / "ran", "a") as file:
        file.write(f"{product}\\n")
    if (HERE / "slowly").exists():
        time.sleep(0.01)
    return {"hex": lr.hex(), "got": [lr, width, decay, depth, kind, extra, m, seed], "sum": lr + width + decay + extra}
'''
STUDY = """
objective: model:seen
parameters:
  m: [p, q]
  lr: {loguniform: [1.0e-5, 0.1]}
  width: {loguniform: [1, 1024], step: 1}
  decay: {normal: [0, 2]}
  depth: {integers: [1, 4]}
  kind: {choice: [relu, 2, null]}
  extra: {lognormal: [0, 1], step: 0.1, when: depth > 2 and m == "p"}
  seed: {seeds: 2}
derive: {product: lr * width}
sample: {method: METHOD, draws: DRAWS}
minimize: sum
order: ORDER
"""


class Study:
    """A design in a folder; `runs` tells how many points were evaluated since last asked."""

    def __init__(self, folder, method="random", draws=20, order="grid"):
        folder.mkdir(exist_ok=True)
        self.folder, self._seen = folder, 0
        (folder / "model.py").write_text(MODEL)
        self.define(method, draws, order)

    def define(self, method, draws, order="grid"):
        text = STUDY.replace("METHOD", method).replace("DRAWS", str(draws)).replace("ORDER", order)
        (self.folder / "study.yaml").write_text(text)

    def run(self, **options):
        return swath.load(self.folder / "study.yaml").run(out=self.folder / "results", **options)

    def open(self):
        return swath.open(self.folder / "results/study")

    def runs(self):
        seen, self._seen = self._seen, len(ran(self.folder))
        return self._seen - seen


@pytest.fixture(scope="module")
def inline(tmp_path_factory):
    """Results of each method's design, evaluated one point after the other."""
    made = {}

    def results(method):
        if method not in made:
            folder = tmp_path_factory.mktemp(method)
            Study(folder, method)
            ask("run", "study.yaml", "--engine", "inline", folder=folder)
            made[method] = swath.open(folder / "results/study")
        return made[method]

    return results


@pytest.mark.parametrize(
    ("method", "workers", "order"),
    [
        *[("random", 1, "grid"), ("random", 2, "shuffle"), ("random", 5, "shuffle")],
        *[("sobol", 2, "grid"), ("sobol", 5, "shuffle"), ("halton", 2, "shuffle"), ("lhs", 2, "shuffle")],
    ],
)
def test_a_design_does_not_depend_on_workers_and_order(method, workers, order, inline, tmp_path):
    study = Study(tmp_path, method, order=order)
    found = study.run(workers=workers)
    assert_same(found, inline(method))
    frame = found.frame
    assert len(frame) == 20 * 2 * 2
    assert frame["hex"].tolist() == [value.hex() for value in frame["lr"]]  # a slot drew what the frame says
    assert frame["extra"].isna().equals(~((frame["depth"] > 2) & (frame["m"] == "p")))
    assert set(frame["width"].map(type)) == {int}


def test_killed_again_and_again_a_design_is_the_same_in_the_end(tmp_path):
    draws = NAPS // 4
    expected = Study(tmp_path / "undisturbed", "sobol", draws).run(workers=2)
    study = Study(tmp_path / "killed", "sobol", draws)
    (study.folder / "slowly").touch()
    for part in (1, 2):
        with begun(*command("run", "study.yaml", "-n", "2"), folder=study.folder) as process:
            until(lambda part=part: len(ran(study.folder)) >= part * NAPS // 3 or process.poll() is not None)
            children: set[int] = set()
            with suppress(psutil.NoSuchProcess):
                children = family(psutil.Process(process.pid))
            process.kill()
        until(lambda children=children: not any(map(psutil.pid_exists, children)))
    ask("run", "study.yaml", "-n", "2", folder=study.folder)
    assert_same(study.open(), expected)
    assert not study.open().damage


@pytest.mark.parametrize("method", ["random", "sobol", "halton"])
def test_more_draws_run_only_those_that_are_new(method, tmp_path):
    study = Study(tmp_path, method, 20)
    before = study.run(workers=1).frame
    assert study.runs() == 80
    study.define(method, 40)
    said = ask("run", "study.yaml", "-n", "1", folder=tmp_path).stderr
    assert "80 done, 80 to do" in said
    assert study.runs() == 80
    after = study.open().frame
    assert len(after) == 160
    here = after.iloc[
        [i for m in (0, 80) for i in range(m, m + 40)]
    ]  # m comes first, so draws are in two blocks
    assert_frame_equal(here.reset_index(drop=True), before.reset_index(drop=True), check_categorical=False)
    study.define(method, 20)
    assert "80 done, 0 to do" in ask("run", "study.yaml", "-n", "1", folder=tmp_path).stderr
    assert_frame_equal(study.open().frame, before, check_categorical=False)


def test_more_draws_of_a_latin_hypercube_are_another_one(tmp_path):
    study = Study(tmp_path, "lhs", 20)
    study.run(workers=1)
    study.define("lhs", 40)
    said = ask("check", "study.yaml", folder=tmp_path).stdout
    assert "lhs, 40 draws; more draws would be another design, which keeps none of these points" in said
    assert len(study.run(workers=1)) == 160
    assert study.runs() == 80 + 160


def test_check_tells_what_is_drawn(tmp_path):
    Study(tmp_path, "sobol", 1000)
    said = ask("check", "study.yaml", folder=tmp_path).stdout
    assert "points     4000 = 2 x 1000 draws x 2" in said
    assert "sample     sobol, 1000 draws; a power of 2, such as 512 or 1024, is balanced better" in said
    for line in (
        "lr           1000  float            loguniform from 1e-05 to 0.1",
        "width        1000  int              loguniform from 1 to 1024, by 1",
        "decay        1000  float            normal, mean 0, deviation 2",
        "kind         1000  text, int, null  one of relu, 2, null",
        "extra        1000  float            lognormal, mean 0, deviation 1, by 0.1",
    ):
        assert line in said
    block = swath.load(tmp_path / "study.yaml").definition
    text = sweep(block).text
    assert "sample sobol, 1000 draws" in text
    assert "loguniform from 1 to 1024, by 1" in text
    assert said.count("\n    0 ") + said.count("\n 3999 ") == 2


def test_a_distribution_without_sample_says_where(tmp_path):
    Study(tmp_path)
    file = tmp_path / "study.yaml"
    file.write_text(file.read_text().replace("sample:", "# sample:"))
    with pytest.raises(DefinitionError) as caught:
        swath.load(file)
    (mistake, *_) = caught.value.mistakes
    assert (mistake.key, mistake.line) == ("parameters.lr", 5)
    assert "add `sample: {method: sobol, draws: 1000}`" in str(mistake)


def test_results_of_a_design_answer_questions(inline, tmp_path):
    results = inline("sobol")
    assert outcome(results).loc[0, "lr"] == results.definition.space[0]["lr"]
    assert len(results.best(3)) == 3
    assert 0 < len(results.where("width > 100 and kind == 'relu'")) < len(results)
    assert results.importance() is not None
    shown = ask(
        "show",
        str(results.folder),
        f"lr={results.frame['lr'].tolist()[5]}",
        "m=p",
        f"seed={results.frame.loc[5, 'seed']}",
        folder=tmp_path,
    )
    assert shown.stdout.startswith("point       5\n")
    page = tmp_path / "page.html"
    ask("report", str(results.folder), "-o", str(page), folder=tmp_path)
    assert page.stat().st_size > 1e5

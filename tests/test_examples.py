"""The examples in ``sweeps/``: their functions as science, their files through the command line."""

from __future__ import annotations

import importlib.util
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml

import swath

if TYPE_CHECKING:
    from types import ModuleType

SWEEPS = Path(__file__).parents[1] / "sweeps"
EXAMPLES = sorted(file.stem for file in SWEEPS.glob("*.yaml"))


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", SWEEPS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def influenza():
    return example("influenza")


@pytest.fixture(scope="module")
def reaction():
    return example("reaction")


@pytest.fixture(scope="module")
def digits():
    return example("digits")


@pytest.fixture(scope="module")
def boosting():
    return example("boosting")


@pytest.fixture(scope="module")
def network():
    return example("network")


@pytest.fixture(scope="module")
def ishigami():
    return example("ishigami")


# Influenza


def test_sir_without_recovery_is_the_logistic_curve(influenza):
    # with gamma = 0: ds/dt = -beta s (N - s) / N
    course = influenza.sir(1.5, 0, susceptible=762, infected=1, days=10)
    expected = [763 / (1 + 762 * math.exp(-1.5 * day)) for day in range(11)]
    assert [infected for _, infected in course] == pytest.approx(expected, rel=1e-6)
    assert [sum(pair) for pair in course] == pytest.approx([763] * 11)


def test_sir_without_infection_decays(influenza):
    course = influenza.sir(0, 0.5, susceptible=700, infected=63, days=4)
    assert [infected for _, infected in course] == pytest.approx(
        [63 * math.exp(-0.5 * day) for day in range(5)]
    )
    assert all(susceptible == 700 for susceptible, _ in course)


@pytest.mark.parametrize(("beta", "gamma"), [(0.5, 0.2), (1.66, 0.44), (3.0, 1.0)])
def test_sir_keeps_its_first_integral(influenza, beta, gamma):
    # s + i - (gamma / beta) N log s is constant along every orbit, so the number of boys is accounted for
    course = influenza.sir(beta, gamma, susceptible=762, infected=1, days=14)
    integral = [s + i - gamma / beta * 763 * math.log(s) for s, i in course]
    assert integral == pytest.approx([integral[0]] * 15, abs=1e-4)
    assert all(s >= 0 and i >= 0 and s + i <= 763 + 1e-9 for s, i in course)


def test_influenza_fits_as_in_the_literature(influenza):
    # Murray (2002): 1.66 and 0.44 a day
    grid = [(beta / 100, gamma / 100) for beta in range(150, 190, 2) for gamma in range(36, 54, 2)]
    beta, gamma = min(grid, key=lambda rates: influenza.fit(*rates)["error"])
    assert (beta, gamma) == (1.66, 0.44)
    assert 3.5 < beta / gamma < 4
    best = influenza.fit(beta, gamma)
    assert best["error"] == pytest.approx(17.263, abs=1e-3)
    assert best["peak"] == pytest.approx(286.1, abs=0.1)
    assert best["peak_day"] == 6  # as in the data
    assert best["attack_rate"] == pytest.approx(0.971, abs=1e-3)


# Reaction


def test_laplacian_of_a_wave_is_its_eigenvalue_times_the_wave(reaction):
    wave = np.sin(2 * np.pi * 3 * np.arange(32) / 32)
    fields = np.stack([np.tile(wave, (32, 1)), np.tile(wave, (32, 1)).T])
    eigenvalue = -4 * math.sin(np.pi * 3 / 32) ** 2
    np.testing.assert_allclose(reaction.laplacian(fields), eigenvalue * fields, atol=1e-12)


def test_spectrum_adds_up_to_the_variance(reaction):
    waves = 2 * np.pi * np.arange(64) / 64
    field = 0.3 + np.cos(5 * waves)[:, None] + 0.5 * np.sin(9 * waves)[None, :]
    spectrum = reaction.radial_spectrum(field)
    assert spectrum.shape == (32,)
    assert spectrum[[4, 8]] == pytest.approx([0.5, 0.125])
    assert spectrum.sum() == pytest.approx(field.var())


@pytest.mark.parametrize("rates", [(0.018, 0.048), (0.03, 0.063), (0.06, 0.048), (0.06, 0.066)])
def test_concentrations_stay_between_nothing_and_the_feed(reaction, rates):
    dish = reaction.initial(32, seed=1)
    for _ in range(400):
        dish = reaction.advance(dish, *rates)
        assert dish.min() >= 0
        assert dish.max() <= 1


def test_a_dish_that_is_fed_too_little_ends_as_pure_u(reaction):
    row = reaction.pattern(0.01, 0.066, size=32, steps=1500)
    assert row["u"] == pytest.approx(1, abs=1e-3)
    assert row["v"] == pytest.approx(0, abs=1e-6)
    assert math.isnan(row["wavelength"])


def test_a_dish_that_is_fed_well_ends_at_the_uniform_state(reaction):
    # u v = feed + kill and feed (1 - u) = (feed + kill) v
    feed, kill = 0.04, 0.048
    u = (1 - math.sqrt(1 - 4 * (feed + kill) ** 2 / feed)) / 2
    row = reaction.pattern(feed, kill, size=32, steps=3000)
    assert row["u"] == pytest.approx(u, abs=1e-6)
    assert row["v"] == pytest.approx((feed + kill) / u, abs=1e-6)


def test_spots_have_a_wavelength_and_arrays_their_shapes(reaction):
    row = reaction.pattern(0.03, 0.06, size=40, steps=3000)
    assert 8 < row["wavelength"] < 21
    assert row["contrast"] > 0.05
    assert row["spectrum"].shape == (20,)
    assert row["thumbnail"].shape == (10, 10)
    assert row["thumbnail"].mean() == pytest.approx(row["v"])


# Digits


@pytest.mark.parametrize(
    "point",
    [{"model": "svm", "C": 10, "gamma": 0.1}, {"model": "forest", "trees": 50, "depth": 12}],
    ids=["svm", "forest"],
)
def test_digits_are_told_apart(digits, point):
    row = digits.train(seed=7, **point)
    assert 0.9 < row["accuracy"] <= row["training_accuracy"] <= 1
    assert digits.train(seed=7, **point) == row


def test_digits_are_split_in_equal_shares(digits):
    train_x, test_x, train_y, test_y = digits.split(7)
    assert train_x.shape == (1347, 64)
    assert test_x.shape == (450, 64)
    assert np.abs(np.bincount(train_y) / 1347 - np.bincount(test_y) / 450).max() < 2e-3


def test_digits_names_an_unknown_model(digits):
    with pytest.raises(ValueError, match=r"""^model is 'tree'; expected "svm" or "forest"$"""):
        digits.train("tree", 7)


# Boosting


def test_boosting_predicts_better_than_the_mean_and_the_same_again(boosting):
    row = boosting.validate(0.05, 60, 2, 8, 0.5, "squared_error")
    _, measure = boosting.patients()
    assert 50 < row["error"] < 0.8 * measure.std()
    assert boosting.validate(0.05, 60, 2, 8, 0.5, "squared_error") == row


def test_patients_are_those_of_the_source(boosting):
    known, measure = boosting.patients()
    assert known.shape == (442, 10)
    assert (measure.min(), measure.max()) == (25, 346)


# Network


@pytest.fixture
def layers(network):
    return network.start(hidden=8, seed=3)


def test_gradient_is_the_slope_of_the_loss(network, layers):
    images, _, digits, _ = network.split()
    few, named, decay, h = images[:30], digits[:30], 0.1, 1e-6
    slopes = network.gradient(layers, few, named, decay)
    for part, layer in enumerate(layers):
        for place in [0, layer.size // 2, layer.size - 1]:
            ends = [[*map(np.copy, layers)] for _ in range(2)]
            ends[0][part].flat[place] += h
            ends[1][part].flat[place] -= h
            up, down = (network.loss(each, few, named, decay) for each in ends)
            # weights decay, biases do not; `loss` counts only those
            assert slopes[part].flat[place] == pytest.approx((up - down) / (2 * h), rel=1e-4, abs=1e-8)


def test_probabilities_add_up(network, layers):
    images, *_ = network.split()
    _, logs = network.outputs(layers, images)
    assert np.exp(logs).sum(axis=1) == pytest.approx(np.ones(len(images)))
    shifted = [*layers[:3], layers[3] + 1000]  # no overflow
    assert network.outputs(shifted, images)[1] == pytest.approx(logs, abs=1e-9)


POINT = {"rate": 0.05, "momentum": 0.9, "hidden": 32, "batch": 32, "decay": 1e-5, "seed": 1}


def test_a_network_learns(network, monkeypatch, tmp_path):
    monkeypatch.setattr(network.swath, "checkpoint", lambda: tmp_path, raising=False)
    steps = list(network.train(**POINT, epochs=6))
    assert [step["step"] for step in steps] == [1, 2, 3, 4, 5, 6]
    assert steps[-1]["loss"] < 0.6 * steps[0]["loss"]
    assert steps[-1]["accuracy"] > 0.94


@pytest.mark.parametrize("torn", [False, True])
def test_a_training_that_was_interrupted_gives_bit_by_bit_the_same(network, monkeypatch, tmp_path, torn):
    folders = [tmp_path / "whole", tmp_path / "parts"]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(network.swath, "checkpoint", lambda: folders[0], raising=False)
    whole = list(network.train(**POINT, epochs=4))
    monkeypatch.setattr(network.swath, "checkpoint", lambda: folders[1], raising=False)
    begun = network.train(**POINT, epochs=4)
    parts = [next(begun), next(begun)]
    begun.close()
    if torn:  # killed while it wrote
        (folders[1] / "network.part").write_bytes(b"half a network")
    parts[1:] = network.train(**POINT, epochs=4)  # what it had come to is told again
    assert parts == whole


def test_few_trainings_go_on_to_the_end_and_no_epoch_is_done_twice(tmp_path):
    small = yaml.safe_load((SWEEPS / "network.yaml").read_text())
    small["parameters"]["epochs"] = small["stop"]["max_steps"] = 9
    small["stop"]["min_steps"], small["sample"]["draws"] = 1, 32
    (tmp_path / "network.yaml").write_text(yaml.safe_dump(small, sort_keys=False))
    shutil.copy(SWEEPS / "network.py", tmp_path)
    results = swath.load(tmp_path / "network.yaml").run(out=tmp_path, workers=2)
    frame, curves = results.frame, results.curves
    assert len(frame) == 32
    assert set(frame["status"]) == {"ok", "pruned"}
    ends = curves.groupby("point")["step"].max()
    assert (ends[frame["status"] == "ok"] == 9).all()
    assert curves["step"].tolist() == [step for end in ends for step in range(1, end + 1)]
    assert len(curves) < 32 * 9  # of epochs of milliseconds, some are over before a decision comes


# Ishigami


def test_ishigami_at_points_that_one_can_compute_by_hand(ishigami):
    half = math.pi / 2
    assert ishigami.response(0, 0, 2) == 0
    assert ishigami.response(half, 0, 0) == pytest.approx(1)
    assert ishigami.response(0, half, 5) == pytest.approx(7)
    assert ishigami.response(half, half, 2) == pytest.approx(1 + 7 + 0.1 * 16)


def test_exact_indices_are_those_of_the_function(ishigami):
    # by Gauss-Legendre quadrature, which is exact to rounding here: var(E(f | x)) / var(f)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    x = math.pi * nodes
    values = np.vectorize(ishigami.response)(x[:, None, None], x[None, :, None], x[None, None, :])
    w = weights / 2
    mean = np.einsum("ijk,i,j,k", values, w, w, w)
    variance = np.einsum("ijk,i,j,k", (values - mean) ** 2, w, w, w)
    others = ["ijk,j,k->i", "ijk,i,k->j", "ijk,i,j->k"]
    alone = [w @ (np.einsum(rest, values, w, w) - mean) ** 2 for rest in others]
    without = [
        np.einsum("ij,i,j", (np.einsum(one, values, w) - mean) ** 2, w, w)
        for one in ("ijk,i->jk", "ijk,j->ik", "ijk,k->ij")
    ]
    known = ishigami.exact()
    assert known["first"] == pytest.approx([part / variance for part in alone], abs=1e-12)
    assert known["total"] == pytest.approx([1 - part / variance for part in without], abs=1e-12)


def test_a_sobol_design_gives_the_sensitivity_indices(ishigami, tmp_path):
    pytest.importorskip("SALib", reason="needs SALib: pip install --group test")
    results = swath.load(SWEEPS / "ishigami.yaml").run(out=tmp_path, workers=2)
    assert len(results) == 2048 * 5
    found, known = ishigami.indices(results.frame), ishigami.exact()
    # the standard error at this number of draws is about 0.02; the design follows from the seed
    assert found["first"] == pytest.approx(known["first"], abs=0.02)
    assert found["total"] == pytest.approx(known["total"], abs=0.02)
    assert all(0.01 < within < 0.08 for within in found["first_within"] + found["total_within"])


# The files


@pytest.mark.parametrize("name", EXAMPLES)
def test_file_says_its_schema_and_reads_as_plain_data(name):
    first, *_ = text = (SWEEPS / f"{name}.yaml").read_text().splitlines()
    schema = first.removeprefix("# yaml-language-server: $schema=")
    assert (SWEEPS / schema).is_file()
    assert yaml.safe_load("\n".join(text))["objective"].startswith(f"{name}:")


@pytest.mark.parametrize(
    ("name", "overrides", "points", "columns"),
    [
        pytest.param(
            "influenza",
            ["beta=1.6,1.66,0.4", "gamma={linspace: [0.42, 0.46, 3]}"],
            6,  # beta = 0.4 is left out by the where
            ["beta", "gamma", "r0", "error", "peak", "peak_day", "attack_rate"],
            id="influenza",
        ),
        pytest.param(
            "digits",
            ["seed={seeds: 1}", "trees={values: [10, 20], when: model == 'forest'}"],
            4 * 7 + 2 * 4,
            ["model", "C", "gamma", "trees", "depth", "seed", "accuracy", "training_accuracy"],
            id="digits",
        ),
        pytest.param(
            "reaction",
            ["feed=0.03,0.04", "size=32", "steps=100"],
            2 * 7,
            ["feed", "kill", "size", "steps", "u", "v", "contrast", "wavelength", "spectrum", "thumbnail"],
            id="reaction",
        ),
        pytest.param(
            "boosting",
            ["trees={integers: [10, 20]}"],
            60,
            ["rate", "trees", "depth", "leaf", "share", "loss", "error"],
            id="boosting",
        ),
    ],
)
def test_file_runs_in_a_small_form(tmp_path, name, overrides, points, columns):
    command = [
        sys.executable,
        "-m",
        "swath",
        "run",
        SWEEPS / f"{name}.yaml",
        *overrides,
        "-n",
        "2",
        "--out",
        tmp_path,
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    frame = swath.open(tmp_path / name).frame
    assert len(frame) == points
    assert list(frame.columns)[: len(columns)] == columns
    assert set(frame["status"]) == {"ok"}


def test_the_schema_beside_the_examples_is_today_s():
    printed = subprocess.run(
        [sys.executable, "-m", "swath", "schema"], capture_output=True, text=True, check=True, timeout=60
    )
    assert (SWEEPS / "swath.schema.json").read_text() == printed.stdout

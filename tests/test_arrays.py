"""Rows as labelled arrays and as Parquet: every value in its place, missing ones named, nothing half written."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saving import SIZE, Session, study
from swath.analysis import names
from swath.errors import CannotWriteError, UsageError
from swath.results import Results

xr = pytest.importorskip("xarray", reason="xarray is an extra")


def saved(folder, definition=None, *, skip=(), **save):
    """A run with all points but some, whose metrics are given for all."""
    definition = definition or study()
    size = definition.space.size
    with Session(folder, definition) as session:
        for start in range(size) if skip else [0]:
            stop = start + 1 if skip else size
            if start not in skip:
                part = {
                    name: item[start:stop] if isinstance(item, list) else item for name, item in save.items()
                }
                session.save(start, stop, **part)
        assert session.rejected == []
    return Results(folder)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "study"


def test_a_grid_has_a_dimension_for_each_parameter(folder):
    definition = study(
        parameters={
            "lr": [0.1, 0.01],
            "kind": ["slow", "fast"],
            "deep": [True, False],
            "seed": [7, 8],
            "population": 1000,
            "solver": "rk4",
            "options": [{"tol": [1]}],
        },
        derive={"double": "lr * 2", "fixed": "population + 1"},
    )
    results = saved(
        folder,
        definition,
        error=[float(i) for i in range(16)],
        steps=list(range(16)),
        word=[f"w{i}" for i in range(16)],
        good=[i % 2 == 0 for i in range(16)],
    )
    data = results.to_xarray()
    assert dict(data.sizes) == {"lr": 2, "kind": 2, "deep": 2, "seed": 2}
    assert data.lr.to_numpy().tolist() == [0.01, 0.1]
    assert data.kind.to_numpy().tolist() == ["slow", "fast"]
    assert data.deep.to_numpy().tolist() == [True, False]
    assert data.attrs == {
        "sweep": "study",
        "minimize": "error",
        "population": 1000,
        "solver": "rk4",
        "options": '{"tol":[1]}',
    }
    assert {name: (item.dims, str(item.dtype)) for name, item in data.data_vars.items()} == {
        "double": (("lr",), "float64"),
        "fixed": ((), "int64"),
        "error": (("lr", "kind", "deep", "seed"), "float64"),
        "steps": (("lr", "kind", "deep", "seed"), "int64"),
        "word": (("lr", "kind", "deep", "seed"), "object"),
        "good": (("lr", "kind", "deep", "seed"), "bool"),
        "status": (("lr", "kind", "deep", "seed"), "object"),
        "seconds": (("lr", "kind", "deep", "seed"), "float64"),
    }
    assert data.double.to_numpy().tolist() == [0.02, 0.2]
    assert int(data.fixed) == 1001
    for row in results.frame.itertuples():
        cell = data.sel(lr=row.lr, kind=row.kind, deep=row.deep, seed=row.seed)
        assert (float(cell.error), int(cell.steps), str(cell.word.item())) == (row.error, row.steps, row.word)
        assert bool(cell.good) == row.good
    assert set(results.to_xarray(["error"]).data_vars) == {"double", "fixed", "error", "status", "seconds"}


def test_what_is_missing_is_nan(folder):
    statuses = ["error" if i == 5 else "ok" for i in range(SIZE)]
    metrics = {
        "error": [None if i == 5 else float(i) for i in range(SIZE)],
        "steps": [None if i == 5 else i for i in range(SIZE)],
        "good": [None if i == 5 else True for i in range(SIZE)],
        "word": [None if i == 5 else "x" for i in range(SIZE)],
    }
    results = saved(folder, skip=[3], statuses=statuses, **metrics)
    data = results.to_xarray()
    failed, gone = data.sel(a=1, b=30, seed=8), data.sel(a=1, b=20, seed=8)
    assert failed.status.item() == "error"
    assert math.isnan(gone.status.item())
    for cell in (failed, gone):
        assert all(pd.isna(cell[name].item()) for name in metrics)
    assert [str(data[name].dtype) for name in metrics] == ["float64", "float64", "float64", "object"]
    assert int(np.isnan(data.error).sum()) == 2
    part = results.where("b > 10 and a == 1 and seed == 7").to_xarray()
    assert dict(part.sizes) == {"b": 2}
    assert part.attrs["a"] == 1


def test_arrays_have_dimensions_of_their_own(folder):
    definition = study(parameters={"a": [1, 2], "seed": [7, 8]})
    statuses = ["ok", "error", "ok", "ok"]
    path = [[1.0, 2.0, 3.0], None, [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]
    image = [[[1, 2], [3, 4]], None, [[5, 6], [7, 8]], [[9, 10], [11, 12]]]
    results = saved(
        folder,
        definition,
        statuses=statuses,
        error=[0.0, None, 1.0, 2.0],
        path=path,
        image=image,
        bits=pa.array([[True], None, [False], [True]], pa.list_(pa.bool_(), 1)),
    )
    data = results.to_xarray()
    assert data.path.dims == ("a", "seed", "path_0")
    assert data.image.dims == ("a", "seed", "image_0", "image_1")
    assert data.path.sel(a=2, seed=8).to_numpy().tolist() == [7.0, 8.0, 9.0]
    assert np.isnan(data.path.sel(a=1, seed=8)).all()
    assert data.image.sel(a=2, seed=7).to_numpy().tolist() == [[5, 6], [7, 8]]
    assert data.bits.sizes["bits_0"] == 1
    assert str(results.where(status="ok").to_xarray(layout="points").image.dtype) == "int64"


def test_arrays_of_different_length_are_refused_with_a_way_out(folder):
    definition = study(parameters={"a": [1, 2, 3]})
    results = saved(folder, definition, error=[0.0, 1.0, 2.0], path=[[1.0], [1.0, 2.0], [1.0, 2.0]])
    with pytest.raises(
        UsageError, match=r"metric path has arrays of 1 to 2 values.*leave it out by metrics=\[...\]"
    ):
        results.to_xarray()
    assert "path" not in results.to_xarray(metrics=["error"])
    assert results.where("a > 1").to_xarray().path.shape == (2, 2)


def test_parameters_that_vary_together_share_a_dimension(folder):
    definition = study(
        parameters={"lr": [0.1, 0.2, 0.1], "momentum": [0.9, 0.8, 0.7], "seed": [7, 8]},
        zip=[["lr", "momentum"]],
    )
    data = saved(folder, definition, error=[float(i) for i in range(6)]).to_xarray()
    assert dict(data.sizes) == {"lr_momentum": 3, "seed": 2}
    assert data.lr.dims == data.momentum.dims == ("lr_momentum",)
    assert data.lr.to_numpy().tolist() == [0.1, 0.2, 0.1]
    assert data.momentum.to_numpy().tolist() == [0.9, 0.8, 0.7]
    assert data.error.to_numpy().tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


def test_dimensions_get_names_that_are_free(folder):
    definition = study(parameters={"lr": [1, 2], "mu": [3, 4], "seed": [7, 8]}, zip=[["lr", "mu"]])
    results = saved(
        folder, definition, lr_mu=[0.0] * 4, path=[[1.0, 2.0]] * 4, path_0=[0.0] * 4, error=[0.0] * 4
    )
    data = results.to_xarray()
    assert dict(data.sizes) == {"lr_mu_": 2, "seed": 2, "path_0_": 2}
    assert data.path.dims == ("lr_mu_", "seed", "path_0_")


def test_the_rows_of_a_table_are_cases(folder):
    table = pd.DataFrame({"w": [1, 2], "x": [3, 4], "y": ["a", "b"], "z": [0.5, 1.5]})
    definition = study(parameters={"seed": [7, 8]}, table=table)
    data = saved(folder, definition, error=[float(i) for i in range(4)]).to_xarray()
    assert sorted(data.sizes) == ["case", "seed"]
    assert {name: data[name].dims for name in table} == dict.fromkeys(table, ("case",))
    assert data.y.to_numpy().tolist() == ["a", "b"]


def test_points_without_a_grid_are_a_dimension(folder):
    definition = study(
        parameters={
            "model": ["svm", "forest"],
            "C": {"values": [0.1, 1.0], "when": 'model == "svm"'},
            "depth": {"values": [3, 5, 7], "when": 'model == "forest"'},
        }
    )
    results = saved(folder, definition, error=[float(i) for i in range(5)])
    data = results.to_xarray()
    assert dict(data.sizes) == {"point": 5}
    assert data.C.to_numpy().tolist() == pytest.approx([0.1, 1.0, math.nan, math.nan, math.nan], nan_ok=True)
    assert data.model.to_numpy().tolist() == ["svm"] * 2 + ["forest"] * 3
    with pytest.raises(UsageError, match="C is absent from some of the rows, so they span no grid"):
        results.to_xarray(layout="grid")
    assert dict(results.where(model="forest").to_xarray().sizes) == {"depth": 3}
    with pytest.raises(UsageError, match="layout is 'grid' or 'points', not 'cube'"):
        results.to_xarray(layout="cube")


def test_a_nearly_empty_grid_is_a_list_of_points(folder):
    definition = study(parameters={"a": list(range(30)), "b": list(range(30))}, where="a == b")
    results = saved(folder, definition, skip=[i for i in range(900) if i % 31], error=[0.0] * 900)
    assert dict(results.to_xarray().sizes) == {"point": 30}
    grid = results.to_xarray(layout="grid")
    assert dict(grid.sizes) == {"a": 30, "b": 30}
    assert int(np.isnan(grid.error).sum()) == 900 - 30


def test_a_run_without_rows_is_an_empty_array(folder):
    with Session(folder, study()):
        data = Results(folder).to_xarray()
    assert dict(data.sizes) == {"point": 0}


@settings(deadline=None, max_examples=30)
@given(st.sets(st.integers(0, SIZE - 1), min_size=1))
def test_a_grid_is_what_pandas_makes(rows):
    frame = whole_frame()
    chosen = sorted(rows)
    part = (
        WHOLE[0].where(" or ".join(f"point == {row}" for row in chosen)).to_xarray(["error"], layout="grid")
    )
    wanted = frame.loc[chosen].set_index(["a", "b", "seed"])["error"].to_xarray()
    got = part.error.expand_dims([name for name in ("a", "b", "seed") if name not in part.dims])
    got = got.transpose("a", "b", "seed")
    np.testing.assert_array_equal(got.to_numpy(), wanted.to_numpy())


WHOLE: list[Results] = []


def whole_frame():
    return WHOLE[0].frame


@pytest.fixture(scope="module", autouse=True)
def whole(tmp_path_factory):
    WHOLE[:] = [saved(tmp_path_factory.mktemp("whole") / "study", error=[float(i) for i in range(SIZE)])]
    yield
    WHOLE.clear()


def test_without_xarray_it_says_what_to_install(monkeypatch):
    def refuse(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(names, "import_module", refuse)
    with pytest.raises(UsageError) as caught:
        WHOLE[0].to_xarray()
    assert str(caught.value) == (
        "to_xarray needs xarray, which is not installed: pip install 'swath[xarray]'"
    )


# Parquet.


def test_parquet_holds_the_rows_and_says_what_they_are(folder, tmp_path):
    definition = study(derive={"ratio": "b / a"})
    results = saved(
        folder, definition, error=[float(i) for i in range(SIZE)], path=[[1.0] * (i % 3) for i in range(SIZE)]
    )
    file = tmp_path / "rows.parquet"
    file.write_text("older")
    results.to_parquet(file)
    table = pq.read_table(file)
    assert table.replace_schema_metadata().equals(results.arrow)
    assert json.loads(table.schema.metadata[b"swath"]) == {
        "sweep": "study",
        "parameters": ["a", "b", "seed"],
        "derived": ["ratio"],
        "metrics": ["error", "path"],
        "minimize": "error",
        "maximize": None,
    }
    results.where("a == 1 and b > 10").to_parquet(str(file))
    assert pd.read_parquet(file)["point"].tolist() == [2, 3, 4, 5]
    results.where("a > 9").to_parquet(file)
    assert pq.read_table(file).num_rows == 0
    assert [item.name for item in tmp_path.iterdir() if item.is_file()] == ["rows.parquet"]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(CannotWriteError, match=r"cannot write .*rows.parquet: No such file or directory"):
        WHOLE[0].to_parquet(tmp_path / "none" / "rows.parquet")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CannotWriteError, match="Is a directory"):
        WHOLE[0].to_parquet(tmp_path / "folder")
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]

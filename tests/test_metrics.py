"""Metric values become Arrow columns and come back exactly, or their row alone is refused."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import struct
import subprocess
import sys
from fractions import Fraction
from typing import NamedTuple
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swath.inside.metrics import MISSING, MOST_METRICS, to_columns
from swath.inside.rows import encode

UTC = dt.UTC


class Outcome(NamedTuple):
    error: float
    steps: int


PLUS_TWO = dt.timezone(dt.timedelta(hours=2))


class Colour(str, enum.Enum):  # noqa: UP042  # the older kind, whose str() is not its value
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Loud(float):
    def __float__(self):
        raise ValueError("no")


class Hostile:
    """Breaks everything that looks at it."""

    def __init__(self, error):
        object.__setattr__(self, "error", error)

    def __getattribute__(self, name):
        raise object.__getattribute__(self, "error")

    def __repr__(self):
        raise object.__getattribute__(self, "error")


class HostileMapping(dict):
    def items(self):
        raise OSError("the disk is gone")


def sent(fields, count):
    """What a reader of the stream gets: every field goes through the bytes that a slot sends."""
    zeros = np.zeros(count)
    stream = encode(np.arange(count), zeros.astype(np.uint8), zeros, zeros.astype(np.int64), {}, fields)
    table = pa.ipc.open_stream(stream).read_all()
    table.validate(full=True)
    return [(name, table.column(i).combine_chunks()) for i, name in enumerate(table.schema.names)][4:]


def columns(*results):
    """Names and columns of results that all fit."""
    fields, unfit = to_columns(results)
    assert unfit == {}
    return sent(fields, len(results))


def column(*values):
    """The only column that these values become."""
    ((name, only),) = columns(*values)
    assert name == "value"
    return only


def reason(value):
    """Why a value is refused, after a look at its neighbours, which are not."""
    fields, unfit = to_columns([1.5, value, 2.5])
    ((name, neighbours),) = sent(fields, 3)
    assert (name, neighbours.to_pylist()) == ("value", [1.5, None, 2.5])
    assert list(unfit) == [1]
    return unfit[1]


def bits(value):
    return struct.pack("d", value)


# What fits comes back.


@given(st.lists(st.floats(width=64), min_size=1))
def test_floats_come_back_to_the_bit(values):
    assert list(map(bits, column(*values).to_pylist())) == list(map(bits, values))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_integers_come_back(values):
    assert column(*values).to_pylist() == values


@given(st.lists(st.text(), min_size=1))
def test_texts_come_back(values):
    assert column(*values).to_pylist() == values


PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.dates()
    | st.timedeltas(dt.timedelta(days=-(10**7)), dt.timedelta(days=10**7))
)


@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=3), PLAIN, max_size=4) | st.none(), min_size=1))
def test_named_metrics_of_any_kind_come_back(results):
    back = [{} for _ in results]
    for name, field in columns(*results):
        for row, value in enumerate(field.to_pylist()):
            if value is not None:
                assert name not in back[row], "two fields claim one value"
                back[row][name] = value
    expected = [{k: v for k, v in (result or {}).items() if v is not None} for result in results]
    assert back == expected
    assert [[*map(type, row.values())] for row in map(sorted_row, back)] == [
        [*map(type, row.values())] for row in map(sorted_row, expected)
    ]


def sorted_row(row):
    return dict(sorted(row.items()))


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(NESTED, max_size=4))
def test_nested_values_come_back_as_lists_or_as_json(value):
    held = column(value)
    (back,) = held.to_pylist()
    assert (back if pa.types.is_large_list(held.type) else json.loads(back)) == value


@pytest.mark.parametrize(
    "value",
    [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072009e-308, 1.7976931348623157e308, math.inf, -math.inf],
)
def test_special_floats(value):
    for held in (column(value), column(np.float64(value)), column(value, MISSING)):
        assert bits(held[0].as_py()) == bits(value)


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**53 + 1, 0])
def test_the_ends_of_64_bits(value):
    assert column(value).type == pa.int64()
    assert column(value).to_pylist() == [value]
    ((_, mixed), _) = columns(value, 0.5)
    assert mixed.to_pylist() == [value, None]


def test_nan_and_missing_are_kept_apart():
    held = column(math.nan, None, MISSING, 1.0)
    assert [value is None for value in held.to_pylist()] == [False, True, True, False]
    assert math.isnan(held[0].as_py())
    both = dict(columns({"a": math.nan, "b": None}, {"b": 2.0}))
    assert both["a"].null_count == 1
    assert math.isnan(both["a"][0].as_py())
    assert both["b"].to_pylist() == [None, 2.0]


def test_nothing_returned_is_no_metric():
    assert columns(None, None) == []
    assert columns({}, {}) == []
    assert columns(MISSING) == []


def test_a_metric_that_is_always_none_has_a_column():
    ((name, held),) = columns({"a": None}, {"a": None})
    assert (name, held.type, held.to_pylist()) == ("a", pa.null(), [None, None])


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, pa.bool_()),
        (1, pa.int64()),
        (1.0, pa.float64()),
        ("", pa.large_string()),
        ("nul \0 and \N{SNOWMAN}", pa.large_string()),
        (b"\xff\0", pa.large_binary()),
        (dt.datetime(1969, 12, 31, 23, 59, 59, 999_999), pa.timestamp("us")),  # noqa: DTZ001
        (dt.datetime(9999, 12, 31, tzinfo=UTC), pa.timestamp("us", "UTC")),
        (dt.datetime(2020, 1, 1, 2, tzinfo=PLUS_TWO), pa.timestamp("us", "UTC")),
        (dt.date(1, 1, 1), pa.date32()),
        (dt.timedelta(microseconds=-1), pa.duration("us")),
    ],
)
def test_every_kind_keeps_its_type(value, kind):
    for held in (column(value), column(MISSING, value)):
        assert held.type == kind
        assert held[-1].as_py() == value
        assert type(held[-1].as_py()) is type(value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float16(0.1), float(np.float16(0.1))),
        (np.float64(-0.0), -0.0),
        (np.longdouble(1.5), 1.5),
        (np.int8(-3), -3),
        (np.uint64(7), 7),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.bytes_(b"a"), b"a"),
        (np.datetime64("2020-01-02T03:04:05"), dt.datetime(2020, 1, 2, 3, 4, 5)),  # noqa: DTZ001
        (np.timedelta64(5, "s"), dt.timedelta(seconds=5)),
        (np.array(2.5), 2.5),
        (np.array(3, dtype=np.int16), 3),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (pd.Timestamp("2020-01-02"), dt.datetime(2020, 1, 2)),  # noqa: DTZ001
        (pd.Timedelta("1s"), dt.timedelta(seconds=1)),
    ],
)
def test_scalars_of_other_makers_become_plain_ones(value, plain):
    back = column(value)[0].as_py()
    assert back == plain
    assert type(back) is type(plain)


@pytest.mark.parametrize("value", [np.datetime64("NaT"), np.timedelta64("NaT"), pd.NaT])
def test_no_time_is_missing(value):
    assert column(value, 1.5).to_pylist() == [None, 1.5]


@pytest.mark.parametrize(
    "kind", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">i4", ">f8"]
)
@pytest.mark.parametrize("shape", [(3,), (0,), (2, 3), (0, 3), (2, 0), (2, 1, 2)])
def test_arrays_become_lists_of_their_own_type(kind, shape):
    value = (np.arange(math.prod(shape)).reshape(shape) % 2).astype(kind)
    held = column(MISSING, value, value[::-1])
    assert held.to_pylist() == [None, value.tolist(), value[::-1].tolist()]
    leaf = held.type
    while pa.types.is_large_list(leaf):
        leaf = leaf.value_type
    assert leaf == pa.from_numpy_dtype(value.dtype.newbyteorder("="))


def test_arrays_of_different_lengths_share_a_column():
    held = column(np.ones(2), np.array([]), [0.5, math.inf], (1.0,))
    assert held.to_pylist() == [[1.0, 1.0], [], [0.5, math.inf], [1.0]]


def test_views_and_fortran_order():
    value = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert column(value, value.T).to_pylist() == [value.tolist(), value.T.tolist()]


def test_bits_inside_a_nan_of_an_array_are_kept():
    odd = np.array([0x7FF8000000000123], dtype=np.uint64).view(np.float64)
    assert column(odd).flatten().to_numpy().view(np.uint64) == 0x7FF8000000000123


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([], "[]"),
        ([1, 2.0], "[1, 2.0]"),
        ([[1, 2], [3]], "[[1, 2], [3]]"),
        ([10**30], "[" + "1" + "0" * 30 + "]"),
        (["a", None], '["a", null]'),
        (Outcome(1, 2), '{"error": 1, "steps": 2}'),
        ({"a": {"b": [1]}}, '{"a": {"b": [1]}}'),
    ],
)
def test_what_is_no_array_is_kept_as_json(value, text):
    ((_, held),) = columns({"value": value})
    assert held.to_pylist() == [text]


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, np.bool_])
def test_a_list_of_numpy_scalars_is_an_array(kind):
    ((_, held),) = columns({"a": [kind(1), kind(0)]})
    assert held.type == pa.large_list(pa.from_numpy_dtype(kind))
    assert held.to_pylist() == [[1, 0]]


def test_a_named_tuple_is_a_mapping():
    assert [(name, held.to_pylist()) for name, held in columns(Outcome(0.5, 3))] == [
        ("error", [0.5]),
        ("steps", [3]),
    ]


def test_mixed_kinds_give_several_fields_in_order_of_arrival():
    fields = columns(1, 1.5, "a", True, [1.0], None)
    assert [name for name, _ in fields] == ["value"] * 5
    assert [str(held.type) for _, held in fields] == [
        "int64",
        "double",
        "large_string",
        "bool",
        "large_list<item: double>",
    ]
    assert [held.to_pylist()[row] for row, (_, held) in enumerate(fields)] == [1, 1.5, "a", True, [1.0]]
    assert all(held.null_count == 5 for _, held in fields)


def test_names_may_come_and_go():
    fields = dict(columns({"a": 1}, {"b": 2.0}, {"a": 3, "b": 4.0}, 5.0))
    assert {name: held.to_pylist() for name, held in fields.items()} == {
        "a": [1, None, 3, None],
        "b": [None, 2.0, 4.0, None],
        "value": [None, None, None, 5.0],
    }


@pytest.mark.parametrize("name", ["with space", "a.b", "line\nbreak", "\N{SNOWMAN}", "x" * 300, "nul\0"])
def test_any_text_is_a_name(name):
    assert [found for found, _ in columns({name: 1.0}, {name: 2.0})] == [name]


# What does not fit concerns its own row only.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**63, "the integer 9223372036854775808 does not fit 64 bits"),
        (-(2**63) - 1, "the integer -9223372036854775809 does not fit 64 bits"),
        (10**5000, "the integer <int> does not fit 64 bits"),
        (np.uint64(2**64 - 1), "the integer 18446744073709551615 does not fit 64 bits"),
        (1j, "complex is nothing that a column can hold: 1j"),
        (Fraction(1, 3), "Fraction is nothing that a column can hold: Fraction(1, 3)"),
        ({1}, "set is nothing that a column can hold: {1}"),
        ("\ud800", r"the text '\ud800' is not valid Unicode"),
        (["\ud800"], r"the text"),
        ({"\ud800": 1.0}, r"a metric's name must be valid Unicode, got '\ud800'"),
        ({"": 1.0}, "a metric's name must be a text that is not empty, got ''"),
        ({1: 1.0}, "a metric's name must be a text that is not empty, got 1"),
        ({"a": 1.0, "b": {1}}, "set is nothing that a column can hold: {1}"),
        ({"a": {"b": {1}}}, "Object of type set is not JSON serializable"),
        (np.array([1j]), "an array of complex128 cannot be held; numbers and booleans of up to 64 bits can"),
        (np.array(["a"]), "an array of <U1 cannot be held"),
        (np.array([None]), "an array of object cannot be held"),
        (np.array([1], dtype=np.longdouble), f"an array of {np.dtype(np.longdouble)} cannot be held"),
        (np.zeros((1,) * 40), "an array of 40 dimensions cannot be held"),
        (np.ma.array([1.0, 2.0], mask=[True, False]), "a masked array cannot be held"),
        (np.longdouble(1) / 3, "does not fit a 64-bit float"),
        (np.datetime64("2020-01-01T00:00:00.000000001"), "is no whole number of microseconds"),
        (np.datetime64("20000-01-01"), "is outside the years 1 to 9999"),
        (np.datetime64(300_000, "Y"), "is outside the years 1 to 9999"),
        (np.timedelta64(2**62, "s"), "is no whole number of microseconds that fits 64 bits"),
        (np.timedelta64(1, "M"), "has no unit of a fixed length"),
        (pd.Timestamp("2020-01-01T00:00:00.000000001"), "is finer than a microsecond"),
        (pd.Timedelta("1ns"), "is finer than a microsecond"),
        (pd.DataFrame({"a": [1]}), "DataFrame is nothing that a column can hold"),
        (object, "type is nothing that a column can hold: <class 'object'>"),
        ((i for i in ()), "generator is nothing that a column can hold"),
    ],
    ids=lambda part: None if type(part) is str else type(part).__name__,
)
def test_what_is_refused_is_named(value, text):
    assert text in reason(value)


def test_objects_that_break_whoever_looks_at_them():
    assert reason(Hostile(ValueError("boo"))) == "Hostile cannot be read: ValueError"
    assert reason(Hostile(SystemExit(3))) == "Hostile cannot be read: SystemExit"
    assert reason(HostileMapping(a=1)) == "HostileMapping cannot be read: OSError"
    assert reason(Loud(1)) == "Loud cannot be read: ValueError"
    assert "Mock" in reason(Mock())


def test_no_reason_is_long():
    assert len(reason({"x" * 10**6})) < 200


def test_lists_without_end_are_refused():
    endless = []
    endless.append(endless)
    assert "Circular reference" in reason(endless)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert "cannot be held" in reason(deep)


def test_a_refused_row_keeps_none_of_its_metrics():
    fields, unfit = to_columns([{"a": 1.0, "b": 1.0}, {"a": 2.0, "b": {2}}])
    assert list(unfit) == [1]
    assert [(name, held.to_pylist()) for name, held in fields] == [("a", [1.0, None]), ("b", [1.0, None])]


def test_where_nothing_fits_there_are_no_fields():
    assert to_columns([{1}, 2j]) == (
        [],
        {0: "set is nothing that a column can hold: {1}", 1: "complex is nothing that a column can hold: 2j"},
    )


def test_too_many_metrics():
    assert f"10000 metrics; at most {MOST_METRICS} are kept, return an array instead" in reason(
        {f"m{i}": 1.0 for i in range(10_000)}
    )
    assert len(columns({f"m{i}": 1.0 for i in range(MOST_METRICS)})) == MOST_METRICS


def test_nothing_imports_pandas():
    program = """
import sys, numpy as np, datetime as dt
from swath.inside.metrics import to_columns
import swath.inside.evaluate, swath.slot
fields, unfit = to_columns([1, 1.5, "a", True, None, b"", [1.0], [[1], [2]], np.ones((2, 2)), [1, "a"], {"b": {}},
                            dt.datetime.now(), dt.date.today(), dt.timedelta(1), {1}, object()])
assert len(unfit) == 2, unfit
found = {"pandas", "dask", "distributed", "pydantic", "scipy"} & set(sys.modules)
assert not found, found
"""
    subprocess.run([sys.executable, "-c", program], check=True)

"""FAULTS B01-B05, B20-B34, B39: whatever a point returns or raises is its own row's affair, and nothing of it is lost.

`evaluate` is quick: it evaluates in this process. `saved` goes all the way: a run on disk, read by whoever opens it.
"""

from __future__ import annotations

import itertools
import math
import struct
import sys
from contextlib import chdir

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import swath
from swath.errors import ObjectiveError
from swath.inside import evaluate as loop
from swath.inside.evaluate import Evaluator
from swath.inside.kinds import hold
from swath.inside.metrics import MOST_BYTES, MOST_METRICS
from swath.inside.tracebacks import MOST_FRAMES, MOST_TEXT
from swath.slot import Slot
from swath.task import pack, unpack
from tasks import batch, done, statuses, table, task, written

NUMBERS = itertools.count()


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """Evaluate a function of x at some values, in this process."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def make(source, values=(0, 1, 2)):
        made = task(tmp_path, source, {"x": list(values)}, module=f"faults{next(NUMBERS)}")
        reply = Evaluator(made, [-1, 0]).evaluate(0, len(values), 30.0)
        assert unpack(pack(reply)) == reply
        return reply

    return make


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Run a function of x at some values, and open what it left on disk."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def make(source, values=(0, 1, 2), **options):
        module = f"saved{next(NUMBERS)}"
        written(tmp_path, **{module: source})
        file = tmp_path / f"{module}.yaml"
        file.write_text(f"objective: {module}:f\nparameters: {{x: {list(values)}}}\n")
        with chdir(tmp_path):
            swath.load(file).run(out=tmp_path, engine="inline", **options)
        return swath.open(tmp_path / module)

    return make


def is_guilty_alone(reply, status="error", at=1):
    """The only failure is at one point; the others have their rows. Return the text of the failure."""
    rows = table(reply)
    assert {row["point"]: row["status"] for row in rows if row["status"] != "ok"} == {at: status}
    assert [row["value"] for row in rows if row["point"] != at] == [0, 2]
    return rows[at]["failure"]


def refused(evaluate, value, source=""):
    """Why the value that an expression gives is invalid; its neighbours are not."""
    text = is_guilty_alone(evaluate(f"{source}\ndef f(x): return ({value}) if x == 1 else x"), "invalid")
    assert "\n" not in text
    assert len(text) < 250
    return text


# What a point raises.


FAILING = """
import sys

class Base(BaseException): pass

class Mute(Exception):
    def __str__(self): raise ValueError("no text")
    __repr__ = __reduce__ = __str__

class Fatal(Exception):
    def __str__(self): raise SystemExit("not even this")
    __repr__ = __reduce__ = __getattribute__ = __str__

class Hidden(type):
    def __getattribute__(self, name):
        if name != "__subclasses__":  # dask, imported later, looks through all exceptions that there are
            raise KeyboardInterrupt
        return type.__getattribute__(self, name)

class Nameless(Exception, metaclass=Hidden):
    def __str__(self): raise SystemExit

def deep(n=0): return deep(n + 1)

def down(n):
    if n: return down_again(n - 1)
    raise ValueError("at the bottom")

def down_again(n): return down(n)

def local():
    class Local(Exception):
        def __init__(self, a, b): self.args = (lambda: a, open(__file__))
    raise Local(1, 2)

def chained(n):
    try:
        if n: chained(n - 1)
        raise KeyError(n)
    except KeyError:
        raise ValueError(n)

DOES = [
    lambda: 1 / 0,
    lambda: fails(Base("base")),
    lambda: fails(GeneratorExit()),
    lambda: next(iter(())),
    lambda: fails(BaseExceptionGroup("two", [Base(1), ValueError(2)])),
    lambda: sys.exit(3),
    lambda: fails(KeyboardInterrupt()),
    deep,
    lambda: down(450),
    lambda: fails(Mute()),
    lambda: fails(Fatal()),
    lambda: fails(Nameless()),
    local,
    lambda: fails(ValueError("a" * 5_000_000 + "the end")),
    lambda: fails(ValueError("\\ud800 and \\0 and \\x1b[2J")),
    lambda: chained(200),
    lambda: fails(MemoryError()),
    lambda: fails(ExceptionGroup("many", [ValueError(i) for i in range(10_000)])),
]

def fails(error): raise error

def f(x):
    return x if x % 2 else DOES[x // 2]()
"""
RAISED = (
    ("B01", "ZeroDivisionError: division by zero"),
    ("B02", "Base: base"),
    ("B02", "GeneratorExit"),
    ("B02", "StopIteration"),
    ("B02", "BaseExceptionGroup: two (2 sub-exceptions)"),
    ("B03", "SystemExit: 3"),
    ("B03", "KeyboardInterrupt"),
    ("B04", "RecursionError: maximum recursion depth exceeded"),
    ("B04", "ValueError: at the bottom"),
    ("B05", "Mute: <exception str() failed>"),
    ("B05", "Fatal: (its text cannot be shown)"),
    ("B05", "Nameless: (its text cannot be shown)"),
    ("B05", "Local: "),
    ("B05", "ValueError: aaaa"),
    ("B05", r"ValueError: \ud800 and "),
    ("B05", "ValueError: 0"),
    ("B05", "MemoryError"),
    ("B05", "ExceptionGroup: many (10000 sub-exceptions)"),
)


@pytest.fixture(scope="module")
def raised(tmp_path_factory):
    """What a slot, with a real child, says about points that raise, every other one an innocent."""
    made = Slot(task(tmp_path_factory.mktemp("raised"), FAILING, {"x": list(range(2 * len(RAISED)))}), "w")
    try:
        made.open()
        child = made._child
        reply = made.evaluate(batch(0, 2 * len(RAISED)))
        assert made._child is child, "the child lives on"
    finally:
        made.close()
    return reply


def texts_of(raised, case):
    rows = table(raised)
    return [rows[2 * i]["failure"] for i, (name, _) in enumerate(RAISED) if name == case]


@pytest.mark.parametrize("case", sorted({case for case, _ in RAISED}))
def test_B01_B02_B03_B04_B05_what_is_raised_is_an_error_of_its_own_row(raised, case):
    assert statuses(raised) == {i: "ok" if i % 2 else "error" for i in range(2 * len(RAISED))}
    assert done(raised) == list(range(2 * len(RAISED)))
    assert [row.get("value") for row in table(raised)[1::2]] == list(range(1, 2 * len(RAISED), 2))
    firsts = [text.splitlines()[0] for text in texts_of(raised, case)]
    expected = [first for name, first in RAISED if name == case]
    for first, said in zip(firsts, expected, strict=True):
        assert said in first
        assert len(first) < 600


def test_B01_type_message_and_the_last_frames(raised):
    (text,) = texts_of(raised, "B01")
    lines = text.splitlines()
    assert lines[:2] == ["ZeroDivisionError: division by zero", "Traceback (most recent call last):"]
    assert [line.rpartition(" in ")[2] for line in lines if line.startswith("  File ")] == ["f", "<lambda>"]


def test_B04_deep_errors_keep_the_frames_at_the_bottom(raised):
    infinite, deep = texts_of(raised, "B04")
    assert deep.count("  File ") == MOST_FRAMES
    assert deep.rstrip().endswith("ValueError: at the bottom")
    assert 'raise ValueError("at the bottom")' in deep
    assert "in deep" in infinite


def test_B05_texts_are_capped_and_valid(raised):
    for text in texts_of(raised, "B05"):
        assert len(text) <= MOST_TEXT + 100
        text.encode()
    assert any(text.rstrip().endswith("the end") for text in texts_of(raised, "B05"))


def test_B05_texts_reach_the_frame(saved):
    results = saved(FAILING, range(20, 30))
    failures = results.failures["failure"]
    assert failures.index.tolist() == [0, 2, 4, 6, 8]
    assert failures[6].startswith("ValueError: aaa")
    assert "not even this" not in " ".join(failures)


# What a point returns: kept exactly, or its own row is invalid.


SPECIAL = (0.0, -0.0, math.inf, -math.inf, 5e-324, -5e-324, 2.2250738585072009e-308, 1.7976931348623157e308)


def test_B20_nothing_returned_is_ok_and_has_no_metrics(saved):
    results = saved("def f(x):\n    if x == 1: return {}\n    if x == 2: return None")
    assert results.metrics == ()
    assert results.frame["status"].astype(str).tolist() == ["ok"] * 3
    mixed = saved("def f(x): return None if x == 1 else {'a': x}")
    assert mixed.arrow.column("a").to_pylist() == [0, None, 2]


def test_B21_special_floats_are_kept_to_the_bit(saved):
    numbers = [*SPECIAL, struct.unpack("d", struct.pack("Q", 0x7FF8000000000123))[0]]
    source = f"""
        import struct
        BITS = {[struct.unpack("Q", struct.pack("d", number))[0] for number in numbers]}
        def f(x): return {{"a": (number := struct.unpack("d", struct.pack("Q", BITS[x]))[0]), "b": [number, 1.0]}}
    """
    results = saved(source, range(len(numbers)))
    expected = np.array(numbers).view(np.uint64).tolist()
    assert results.frame["a"].to_numpy().view(np.uint64).tolist() == expected
    held = results.arrow.column("a")
    assert held.null_count == 0
    assert held.to_numpy().view(np.uint64).tolist() == expected
    lists = results.arrow.column("b").combine_chunks().flatten().to_numpy()[::2]
    assert lists.view(np.uint64).tolist() == expected
    assert pq.read_table(results.folder / "results.parquet").column("a").to_numpy().view(
        np.uint64
    ).tolist() == (expected)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2**63", "the integer 9223372036854775808 does not fit 64 bits"),
        ("-2**63 - 1", "does not fit 64 bits"),
        ("10**5000", "does not fit 64 bits"),
        ("__import__('decimal').Decimal('0.1')", "Decimal is nothing that a column can hold: Decimal('0.1')"),
        ("1 + 2j", "complex is nothing that a column can hold: (1+2j)"),
        ("__import__('fractions').Fraction(1, 3)", "Fraction is nothing that a column can hold"),
    ],
)
def test_B22_numbers_that_no_column_holds_are_invalid(evaluate, value, text):
    assert text in refused(evaluate, value)


def test_B22_an_integer_that_lies_about_its_size_is_still_invalid(evaluate):
    source = """
class Liar(int):
    __le__ = __lt__ = __ge__ = __gt__ = lambda self, other: True
    __int__ = __index__ = lambda self: 1
"""
    assert "does not fit 64 bits" in refused(evaluate, "Liar(2**70)", source)


KINDS = [
    "?",
    "i1",
    "u1",
    "i2",
    "u2",
    "i4",
    "u4",
    "i8",
    "u8",
    "f2",
    "f4",
    "f8",
    ">i4",
    ">f8",
    "g",
    "F",
    "D",
    "G",
    "U3",
    "S3",
    "O",
    "M8[s]",
    "M8[ns]",
    "m8[ms]",
    "m8[Y]",
    "V4",
    "i4,f8",
]


def test_B23_numpy_scalars_and_arrays_are_exact_or_invalid(evaluate):
    source = f"""
        import numpy as np
        KINDS = {KINDS}
        SHAPES = [(), (1,), (3,), (0,), (2, 2), (2, 0, 1)]
        def f(x):
            kind = np.dtype(KINDS[x // 7])
            if x % 7 == 6:
                return np.ones(1, kind)[0]
            return np.ones(SHAPES[x % 7], kind)
    """
    reply = evaluate(source, range(7 * len(KINDS)))
    fitting, refusals = {}, {}
    for row in table(reply):
        place = KINDS[row["point"] // 7]
        (fitting if row["status"] == "ok" else refusals).setdefault(place, []).append(row)
    for kind, rows in fitting.items():
        for row in rows:
            value = np.ones(1, np.dtype(kind)).tolist()[0]
            leaf = row["value"]
            while isinstance(leaf, list) and leaf:
                leaf = leaf[0]
            assert leaf in (value, []) or str(value) in str(leaf), (kind, leaf)
    numbers = KINDS[: KINDS.index("g")]
    assert all(len(fitting[kind]) == 7 for kind in numbers)
    assert not refusals.keys() & set(numbers)
    assert {"F", "D", "G", "m8[Y]", "V4", "i4,f8"}.isdisjoint(fitting)
    assert all(row["failure"] for rows in refusals.values() for row in rows)


def test_B23_ragged_and_nested_lists_lose_nothing(saved):
    values = [[1.5], [[1, 2], [3]], [[1.0, 2.0], [3.0, 4.0]], [1, "a", None], [], [np.float32(0.1)] * 2]
    source = f"""
        import numpy as np
        from numpy import float32
        def f(x): return {{"a": {[repr(value).replace("np.", "") for value in values]}[x]}} | {{"b": VALUES[x]}}
        VALUES = [[1.5], [[1, 2], [3]], [[1.0, 2.0], [3.0, 4.0]], [1, "a", None], [], [float32(0.1)] * 2]
    """
    results = saved(source, range(len(values)))
    assert results.frame["status"].astype(str).tolist() == ["ok"] * len(values)
    assert results.frame["b"].notna().all()
    assert "metric b is text" in results.notes[0]


def test_B24_missing_and_extra_metrics_are_null_whatever_their_order(saved):
    source = "def f(x): return [{'a': 1.0, 'b': 2}, {'b': 3, 'a': 4.0}, {'c': 'new'}, {'b': 5}][x]"
    results = saved(source, range(4))
    assert results.frame["status"].astype(str).tolist() == ["ok"] * 4
    assert results.arrow.select(["a", "b", "c"]).to_pydict() == {
        "a": [1.0, 4.0, None, None],
        "b": [2, 3, None, 5],
        "c": [None, None, "new", None],
    }


def test_B25_types_that_differ_are_unified_where_exact_else_text_that_says_so(saved):
    exact = saved("def f(x): return [1, 1.5, -2**53, None][x]", range(4))
    assert exact.frame["value"].tolist()[:3] == [1.0, 1.5, -(2.0**53)]
    assert exact.notes == ()
    inexact = saved("def f(x): return [2**53 + 1, 0.5][x]", range(2))
    assert inexact.frame["value"].tolist() == ["9007199254740993", "0.5"]
    assert "metric value is text: it came as double and int64" in inexact.notes[0]
    mixed = saved("def f(x): return [1, 1.5, 'a', True][x]", range(4))
    assert mixed.frame["value"].tolist() == ["1", "1.5", "a", "True"]
    assert mixed.frame["status"].astype(str).tolist() == ["ok"] * 4


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("{'a': {'b': {}}}", '{"b": {}}'),
        ("{'a': [{'b': 1}, {}]}", '[{"b": 1}, {}]'),
        ("{'a': {}}", "{}"),
        ("{'a': (1, ('b', 2))}", '[1, ["b", 2]]'),
    ],
)
def test_B26_nested_values_are_json_text(evaluate, value, text):
    assert table(evaluate(f"def f(x): return {value}", [1]))[0]["a"] == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("{1, 2}", "set is nothing that a column can hold: {1, 2}"),
        ("{'a': {'b': {1}}}", "Object of type set is not JSON serializable"),
        ("{'a': {1: 'x', '1': 'y'}}", "a mapping within a metric must have texts as names, got 1"),
        ("{'a': [{None: 1}]}", "a mapping within a metric must have texts as names, got None"),
        ("{1: 2}", "a metric's name must be a text that is not empty, got 1"),
    ],
)
def test_B26_what_json_would_change_is_invalid(evaluate, value, text):
    assert text in refused(evaluate, value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("__import__('pandas').DataFrame({'a': [1]})", "DataFrame"),
        ("__import__('pandas').Series([1])", "Series"),
        ("__import__('pyarrow').table({'a': [1]})", "Table"),
        ("(i for i in 'ab')", "generator"),
        ("__import__('threading').Lock()", "lock"),
        ("object()", "object"),
        ("f", "function"),
        ("range(3)", "range"),
    ],
)
def test_B27_objects_that_are_no_values_are_invalid(evaluate, value, kind):
    assert f"{kind} is nothing that a column can hold: " in refused(evaluate, value)


TIMES = """
import datetime as dt
PLUS = dt.timezone(dt.timedelta(hours=5, minutes=30))
"""


def test_B28_naive_and_aware_times_are_never_mixed_up(saved):
    source = (
        TIMES + "def f(x): return [dt.datetime(2020, 1, 1, 12), dt.datetime(2020, 1, 1, 12, tzinfo=PLUS)][x]"
    )
    results = saved(source, range(2))
    assert results.frame["value"].tolist() == ["2020-01-01 12:00:00", "2020-01-01 06:30:00+00:00"]
    assert "timestamp[us, tz=UTC]" in results.notes[0]


def test_B28_times_alone_keep_their_kind(saved):
    source = (
        TIMES
        + """
def f(x):
    return {
        "aware": dt.datetime(1, 1, 2, tzinfo=PLUS), "naive": dt.datetime(9999, 12, 31), "day": dt.date(1, 1, 1),
        "span": -dt.timedelta.resolution,
    }
"""
    )
    import datetime as dt

    row = saved(source, [1]).arrow.to_pylist()[0]
    assert row["aware"] == dt.datetime(1, 1, 1, 18, 30, tzinfo=dt.UTC)
    assert row["naive"] == dt.datetime(9999, 12, 31)  # noqa: DTZ001
    assert (row["day"], row["span"]) == (dt.date(1, 1, 1), -dt.timedelta.resolution)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("dt.datetime.min.replace(tzinfo=PLUS)", "is outside the years 1 to 9999 of UTC"),
        ("dt.timedelta.max", "does not fit 64 bits of microseconds"),
        ("dt.time(12)", "time is nothing that a column can hold"),
        ("[dt.date(2020, 1, 1)]", "Object of type date is not JSON serializable"),
    ],
)
def test_B28_times_that_no_column_holds_are_invalid(evaluate, value, text):
    assert text in refused(evaluate, value, TIMES)


def test_B29_texts_and_bytes_are_exact_or_invalid(saved, evaluate):
    source = (
        "def f(x): return [{'a': 'nul \\0 end'}, {'a': b'\\xff\\0'}, {'a': '\\ud800'}, {'a': 'x' * 10**6}][x]"
    )
    results = saved(source, range(4))
    assert results.frame["status"].astype(str).tolist() == ["ok", "ok", "invalid", "ok"]
    assert results.frame["failure"][2] == r"the text '\ud800' is not valid Unicode"
    assert results.frame["a"].tolist()[:2] == ["nul \0 end", r"b'\xff\x00'"]
    assert results.frame["a"][3] == "x" * 10**6
    assert r"got '\udfff'" in refused(evaluate, "{'\\udfff': 1}")


def test_B29_metrics_of_100_mb_are_invalid(evaluate):
    said = f"at most {MOST_BYTES:,} are kept for a point, write them to a file and return its name"
    assert refused(evaluate, "'x' * 10**8") == f"metrics of 100,000,005 bytes; {said}"
    assert said in refused(evaluate, "{'a': b'x' * 10**8}")
    assert said in refused(evaluate, "__import__('numpy').zeros(10**8, dtype='i1')")
    assert said in refused(evaluate, "{f'm{i}': 'x' * 10**6 for i in range(40)}")


def test_B29_a_batch_ends_before_large_results_fill_the_memory(evaluate, monkeypatch):
    monkeypatch.setattr(loop, "MOST_HELD", 2**20)
    for value in ("'x' * 300_000", "{'a': 'x' * 300_000}", "{f'm{i}': 1.0 for i in range(2_500)}"):
        reply = evaluate(f"import time\ndef f(x):\n    time.sleep(0.006)\n    return {value}", range(20))
        assert done(reply) == [0, 1, 2, 3], value


@pytest.mark.parametrize("name", ["point", "status", "worker", "definition", "x"])
def test_B30_a_metric_named_like_a_column_stops_the_sweep_at_once(saved, name):
    said = f"the metric '{name}' has the name of another column; rename it in the objective"
    with pytest.raises(ObjectiveError, match=said):
        saved(f"def f(x): return {{'{name}': 1}}")


def test_B30_any_other_name_is_kept(saved):
    names = ["Error", "error", "x" * 300, "line\nbreak", "a.b c", "\N{SNOWMAN}", "=1+1", "\x1b[2J"]
    results = saved(f"def f(x): return {{name: i + 0.5 for i, name in enumerate({names!r})}}", [1])
    assert results.metrics == tuple(names)
    assert results.frame[names].iloc[0].tolist() == [i + 0.5 for i in range(len(names))]
    exported = pq.read_table(results.folder / "results.parquet")
    assert [exported.column(name)[0].as_py() for name in names] == [i + 0.5 for i in range(len(names))]


def test_B30_an_empty_name_is_invalid(evaluate):
    assert refused(evaluate, "{'': 1}") == "a metric's name must be a text that is not empty, got ''"


def test_B31_a_million_metrics_of_a_point_are_invalid(evaluate):
    text = refused(evaluate, "dict.fromkeys(map(str, range(10**6)), 1.0)")
    assert text == f"1000000 metrics; at most {MOST_METRICS} are kept, return an array instead"


def test_B31_names_that_differ_without_end_stop_the_sweep(evaluate):
    reply = evaluate("def f(x): return {f'm{x}': 1.0}", range(MOST_METRICS + 1))
    assert reply.fatal.startswith(
        "4,097 points returned 4,097 different metrics; a metric's name must not depend"
    )
    assert (reply.done, reply.rows) == ((), 0)
    assert evaluate("def f(x): return {f'm{x}': 1.0}", range(100)).rows == 100


def test_B31_names_that_differ_from_batch_to_batch_stop_it_too(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    source = "def f(x): return {f'm{x}': 1.0}"
    made = Evaluator(
        task(tmp_path, source, {"x": list(range(5000))}, module=f"faults{next(NUMBERS)}"), [-1, 0]
    )
    assert made.evaluate(0, 3000, 30.0).rows == 3000
    assert (
        made.evaluate(3000, 5000, 30.0).fatal
        == "points returned 5,000 different metrics; at most 4,096 make a table"
    )


def test_B33_what_is_not_deterministic_is_never_run_again(tmp_path):
    written(tmp_path, dice="import random\ndef f(x): return random.SystemRandom().random()")
    file = tmp_path / "dice.yaml"
    file.write_text("objective: dice:f\nparameters: {x: {range: [40]}}\n")
    kept = {}
    with chdir(tmp_path):
        for _ in range(3):
            frame = swath.load(file).run(out=tmp_path, engine="inline", limit=15).frame
            assert kept.items() <= frame["value"].to_dict().items()
            kept = frame["value"].to_dict()
    assert len(kept) == 40
    assert set(frame["attempts"]) == {1}


HOSTILE = """
class Lazy:
    def __init__(self, error): object.__setattr__(self, "error", error)
    def __getattribute__(self, name): raise object.__getattribute__(self, "error")
    __repr__ = __str__ = __float__ = __int__ = __array__ = __len__ = __iter__ = __bool__ = __eq__ = (
        lambda self, *_: self.anything
    )

class Loud(float):
    def __float__(self): raise OSError("the disk is gone")

class Meta(type):
    __name__ = property(lambda self: 1 / 0)
    def __instancecheck__(self, other): raise SystemExit

class Odd(metaclass=Meta):
    def __repr__(self): return 5

class Mapping(dict):
    def items(self): raise MemoryError
    def __len__(self): return 1

class Text(str):
    def encode(self, *_): return b"lies"
    def __len__(self): raise KeyboardInterrupt
"""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Lazy(ValueError())", "Lazy cannot be read: ValueError"),
        ("Lazy(SystemExit())", "Lazy cannot be read: SystemExit"),
        ("Lazy(KeyboardInterrupt())", "Lazy cannot be read: KeyboardInterrupt"),
        ("{'a': Lazy(RecursionError())}", "dict cannot be read: RecursionError"),
        ("Loud(1)", "Loud cannot be read: OSError"),
        ("Odd()", "Odd is nothing that a column can hold: <Odd>"),
        ("Mapping(a=1)", "Mapping cannot be read: MemoryError"),
        ("[Lazy(ValueError())]", "<list> cannot be held: ValueError"),
    ],
)
def test_B39_lazy_objects_that_raise_when_looked_at_are_invalid(evaluate, value, text):
    assert refused(evaluate, value, HOSTILE) == text


def test_B39_a_text_that_pretends_is_taken_for_what_it_is(evaluate):
    reply = evaluate(f"{HOSTILE}\ndef f(x): return Text('truth')", [1])
    assert table(reply)[0]["value"] == "truth"


def test_B39_every_kind_of_value_that_is_held_is_an_arrow_type():
    assert all(isinstance(hold(value)[0], pa.DataType) for value in (1, 1.0, "a", b"a", None, True, [1], {}))


# What all failures of a reply have in common, for the brake.


def test_B34_failures_that_are_all_alike_share_a_complaint(evaluate):
    alike = "def f(x):\n    raise FileNotFoundError('data.csv')"
    assert evaluate(alike).complaint == "FileNotFoundError: data.csv"
    assert evaluate("def f(x): return {1} if x else 1").complaint == (
        "set is nothing that a column can hold: {1}"
    )
    assert evaluate("def f(x): return 1 / (x - 1)").complaint == "ZeroDivisionError: division by zero"


def test_B34_failures_that_differ_share_none(evaluate):
    assert evaluate("def f(x): raise ValueError(x)").complaint == ""
    assert evaluate("def f(x): return x").complaint == ""


def test_B34_a_death_complains_too(tmp_path):
    made = Slot(task(tmp_path, "import os\ndef f(x): return x or os._exit(7)", {"x": [1, 0, 0]}), "w")
    try:
        reply = made.evaluate(batch(0, 3))
    finally:
        made.close()
    assert statuses(reply)[1] == "crash"
    assert reply.complaint == "the process ended with exit status 7"

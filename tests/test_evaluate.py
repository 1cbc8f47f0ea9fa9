"""One batch in this process: what is called with what, where it ends, and what the rows say."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import sys
import time
from types import SimpleNamespace

import cloudpickle
import pytest

from swath.errors import ObjectiveError
from swath.inside.crumb import AFTER, HERE, LIMIT
from swath.inside.evaluate import Evaluator
from swath.inside.tracebacks import MOST_FRAMES, MOST_TEXT, describe
from swath.messages import LONGEST_COMPLAINT, MOST_COMPLAINTS, Reply, merge
from swath.slot import cut_short
from swath.space import Axis, Opaque, Space
from swath.space.expressions import Expression
from swath.task import pack, unpack
from tasks import done, statuses, table, task

NUMBERS = itertools.count()


@pytest.fixture
def evaluator(tmp_path, monkeypatch):
    """Make evaluators in this process; every objective is a module of its own."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def make(source, parameters, **more):
        made = task(tmp_path, source, parameters, module=f"objective{next(NUMBERS)}", **more)
        return Evaluator(made, [-1, 0])

    return make


def values(reply, name="value"):
    return [row.get(name) for row in table(reply)]


def grid(*axes, **more):
    return Space([[Axis((name,), (list(values),), when) for name, values, when in axes]], **more)


# Where a batch ends.


def test_a_whole_batch(evaluator):
    reply = evaluator("def f(x): return 2 * x", {"x": range(100)}).evaluate(3, 90, 30.0)
    assert reply.done == ((3, 90),)
    assert reply.rows == 87
    assert values(reply) == [2 * x for x in range(3, 90)]
    assert set(statuses(reply).values()) == {"ok"}
    assert (reply.failed, reply.fatal, reply.best) == ((), "", None)


def test_many_chunks(evaluator):
    made = evaluator("def f(x): return x", {"x": range(10_000)})
    assert values(made.evaluate(0, 10_000, 30.0)) == list(range(10_000))
    assert values(made.evaluate(64, 65, 30.0)) == [64]


def test_without_any_budget_one_point_is_evaluated(evaluator):
    reply = evaluator("def f(x): return x", {"x": range(100)}).evaluate(5, 50, 0.0)
    assert reply.done == ((5, 6),)
    assert values(reply) == [5]


def test_the_budget_cuts(evaluator):
    source = """
        import time

        def f(x):
            time.sleep(0.01)
            return x
    """
    made = evaluator(source, {"x": range(1000)})
    began = time.monotonic()
    reply = made.evaluate(0, 1000, 0.1)
    assert time.monotonic() - began < 5
    assert 1 <= reply.rows <= 12
    assert reply.done == ((0, reply.rows),)
    assert reply.seconds >= 0.1
    assert all(0.01 <= row["seconds"] < 5 for row in table(reply))


def test_points_know_when_they_began(evaluator):
    before = dt.datetime.now(dt.UTC)
    rows = table(evaluator("def f(x): return x", {"x": range(100)}).evaluate(0, 100, 30.0))
    after = dt.datetime.now(dt.UTC)
    slack = dt.timedelta(seconds=10)  # two clocks, which are not read at once
    assert before - slack <= rows[0]["started"] <= rows[-1]["started"] <= after + slack


@pytest.mark.parametrize("limit", [1, 3, 64, 65, 100])
def test_a_limit_counts_rows(evaluator, limit):
    reply = evaluator("def f(x): return x", {"x": range(100)}).evaluate(0, 100, 30.0, limit)
    assert reply.rows == limit
    assert done(reply) == list(range(limit))


def test_a_limit_of_kept_rows(evaluator):
    space = grid(("x", range(1000), None), where=Expression("x % 10 == 9"))
    reply = evaluator("def f(x): return x", space).evaluate(0, 1000, 30.0, 10)
    assert values(reply) == list(range(9, 100, 10))
    assert reply.done == ((0, 100),)


def test_where_leaves_points_out_but_decides_them(evaluator):
    space = grid(("x", range(10), None), where=Expression("x % 2 == 0"))
    reply = evaluator("def f(x): return x", space).evaluate(1, 10, 30.0)
    assert values(reply) == [2, 4, 6, 8]
    assert reply.done == ((1, 10),)


def test_a_batch_without_any_point(evaluator):
    space = grid(("x", range(1000), None), where=Expression("x > 5000"))
    reply = evaluator("def f(x): return x", space).evaluate(0, 1000, 30.0)
    assert (reply.done, reply.rows, reply.payload) == (((0, 1000),), 0, ())


def test_shuffled_positions_are_evaluated_by_index(evaluator):
    space = grid(("x", range(50), None), order="shuffle", root=3)
    reply = evaluator("def f(x): return x", space).evaluate(10, 20, 30.0)
    assert values(reply) == [row["point"] for row in table(reply)] == space.indices(10, 20).tolist()


@pytest.mark.parametrize("last", [7, 63, 64])
def test_nothing_begins_after_it_was_taken_back(evaluator, last):
    source = """
        import time

        def f(x, hook):
            if x == hook["at"]:
                hook["then"]()
            if x >= hook["at"]:
                time.sleep(0.01)  # so long that every point looks
            return x
    """
    hook = {"at": last}
    made = evaluator(source, {"x": range(200), "hook": [Opaque("d", "dict")]})
    made._constants = {"d": hook}
    offer = type("Offer", (), {"start": 0, "stop": 200})
    hook["then"] = lambda: hook.update(first=cut_short(made.crumb, offer))
    reply = made.evaluate(0, 200, 30.0)
    assert hook["first"] == last + 1
    assert reply.done == ((0, last + 1),)


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_nothing_is_given_back_and_begun(evaluator, moment, quick):
    """Whoever takes back comes just before or just after the loop has said where it is."""
    last = 7

    class Watched(list):
        def __setitem__(self, word, value):
            here = word == HERE and value == last + 1 and not given
            if here and moment == "before":
                given.append(cut_short(self, offer))
            super().__setitem__(word, value)
            if here and moment == "after":
                given.append(cut_short(self, offer))

    given: list[int] = []
    offer = type("Offer", (), {"start": 0, "stop": 200})
    made = evaluator(f"import time\ndef f(x): time.sleep({0.0 if quick else 0.01})", {"x": range(200)})
    made.crumb = Watched(made.crumb)
    reply = made.evaluate(0, 200, 30.0)
    assert given == [last + 1 if moment == "before" else last + 2]
    assert done(reply) == list(range(given[0]))


def test_the_crumb_names_the_point_and_is_wiped(evaluator):
    made = evaluator("def f(x, here): return here()", {"x": range(3), "here": [Opaque("d", "function")]})
    made._constants = {"d": lambda: made.crumb[HERE]}
    assert [row["value"] for row in table(made.evaluate(0, 3, 1.0))] == [0, 1, 2]
    assert made.crumb[HERE] == AFTER
    assert made.crumb[LIMIT] > 2**62


# What the objective is called with.


def test_arguments_go_by_name_whatever_their_order(evaluator):
    made = evaluator("def f(b, a): return [b, a]", {"a": [1, 2], "b": [3]})
    assert values(made.evaluate(0, 2, 30.0)) == [[3, 1], [3, 2]]


def test_keyword_only_arguments_and_defaults(evaluator):
    made = evaluator("def f(a, *, b, c=5): return [a, b, c]", {"b": [2], "a": [1]})
    assert values(made.evaluate(0, 1, 30.0)) == [[1, 2, 5]]


def test_a_default_between_arguments(evaluator):
    made = evaluator("def f(a, c=5, b=6): return [a, c, b]", {"b": [2], "a": [1]})
    assert values(made.evaluate(0, 1, 30.0)) == [[1, 5, 2]]


def test_any_keyword(evaluator):
    made = evaluator("def f(**options): return options", {"training.lr": [0.1], "layers": [2]})
    fatal = made.evaluate(0, 1, 30.0).fatal
    assert fatal == "the metric 'training.lr' has the name of another column; rename it in the objective"
    made = evaluator(
        "def f(**options): return str(sorted(options.items()))", {"training.lr": [0.1], "layers": [2]}
    )
    assert values(made.evaluate(0, 1, 30.0)) == ["[('layers', 2), ('training.lr', 0.1)]"]


def test_callables_that_are_no_functions(evaluator):
    source = """
        import functools

        class Model:
            def __call__(self, x):
                return x + 1

        f = Model()
        part = functools.partial(lambda y, x: [y, x], 10)

        def doubled(function):
            @functools.wraps(function)
            def inner(**keywords):
                return 2 * function(**keywords)
            return inner

        @doubled
        def wrapped(x):
            return x
    """
    assert values(evaluator(source, {"x": [1]}).evaluate(0, 1, 30.0)) == [2]
    assert values(evaluator(source, {"x": [1]}, function="part").evaluate(0, 1, 30.0)) == [[10, 1]]
    assert values(evaluator(source, {"x": [1]}, function="wrapped").evaluate(0, 1, 30.0)) == [2]


def test_derived_columns_go_where_they_are_named(evaluator):
    space = grid(
        ("a", [1, 2], None), ("b", [4], None), derive={"r": Expression("b / a"), "s": Expression("a + b")}
    )
    assert values(evaluator("def f(a, r): return [float(a), r]", space).evaluate(0, 2, 30.0)) == [
        [1.0, 4.0],
        [2.0, 2.0],
    ]


def test_absent_arguments_are_not_passed(evaluator):
    space = grid(("model", ["svm", "tree"], None), ("c", [1, 2], Expression('model == "svm"')))
    made = evaluator("def f(model, **rest): return f'{model} {rest}'", space)
    assert values(made.evaluate(0, 3, 30.0)) == ["svm {'c': 1}", "svm {'c': 2}", "tree {}"]
    made = evaluator("def f(model, c='default'): return f'{model} {c}'", space)
    assert values(made.evaluate(0, 3, 30.0)) == ["svm 1", "svm 2", "tree default"]


def test_an_objective_that_takes_nothing(evaluator):
    assert values(evaluator("def f(): return 1", {"x": [1, 2]}).evaluate(0, 2, 30.0)) == [1, 1]


def test_values_keep_their_types(evaluator):
    mixed = ["sqrt", 0.5, 1, True, None]
    made = evaluator("def f(x): return repr(x)", {"x": mixed})
    assert values(made.evaluate(0, 5, 30.0)) == list(map(repr, mixed))


def test_changing_an_argument_changes_no_other_point(evaluator):
    source = """
        def f(layers, options, x):
            layers.append(x)
            options["nested"]["x"] = x
            return f"{layers} {options}"
    """
    made = evaluator(source, {"layers": [[1]], "options": [{"nested": {}}], "x": [7, 8]})
    expected = ["[1, 7] {'nested': {'x': 7}}", "[1, 8] {'nested': {'x': 8}}"]
    assert values(made.evaluate(0, 2, 30.0)) == expected
    assert values(made.evaluate(0, 2, 30.0)) == expected


def test_constants_come_by_digest(evaluator):
    held = {"d1": cloudpickle.dumps(lambda x: 10 * x), "d2": cloudpickle.dumps({1, 2})}
    made = evaluator(
        "def f(x, scale, known): return scale(x) if x in known else None",
        {"x": [1, 5], "scale": [Opaque("d1", "function")], "known": [Opaque("d2", "set")]},
        constants=held,
    )
    assert values(made.evaluate(0, 2, 30.0)) == [10, None]


# What comes back.


@pytest.mark.parametrize(
    "body",
    [
        "buffer[0] = x; return buffer",
        "buffer[0] = x; return {'value': buffer}",
        "kept['value'] = [x]; return kept",
        "kept.setdefault('value', [0])[0] = x; return kept",
        "rows[0] = x; return rows",
        "kept['value'] = [x]; kept2 = types.MappingProxyType(kept); return dict(kept2)",
    ],
)
def test_changing_what_was_returned_changes_no_other_row(evaluator, body):
    source = f"""
        import types

        import numpy as np

        buffer, kept, rows = np.zeros(1, dtype=np.int64), {{}}, [0]

        def f(x):
            {body}
    """
    assert values(evaluator(source, {"x": range(4)}).evaluate(0, 4, 30.0)) == [[0], [1], [2], [3]]


def test_rows_that_do_not_fit_are_invalid_alone(evaluator):
    made = evaluator("def f(x): return {1j} if x == 1 else x", {"x": range(3)})
    reply = made.evaluate(0, 3, 30.0)
    assert statuses(reply) == {0: "ok", 1: "invalid", 2: "ok"}
    assert table(reply)[1]["failure"] == "set is nothing that a column can hold: {1j}"
    assert table(reply)[1]["value"] is None


def test_no_metrics_at_all(evaluator):
    (row,) = table(evaluator("def f(x): pass", {"x": [1]}).evaluate(0, 1, 30.0))
    assert row.keys() == {"point", "status", "seconds", "started"}


@pytest.mark.parametrize(
    "name", ["status", "point", "seconds", "attempts", "worker", "started", "failure", "x", "r"]
)
def test_a_metric_with_the_name_of_a_column_is_fatal(evaluator, name):
    space = grid(("x", [1, 2], None), derive={"r": Expression("x + 1")})
    reply = evaluator(f"def f(x): return {{'error': 1.0, '{name}': 2}}", space).evaluate(0, 2, 30.0)
    assert reply.fatal == f"the metric '{name}' has the name of another column; rename it in the objective"
    assert (reply.done, reply.rows, reply.payload) == ((), 0, ())


def test_the_best_of_a_batch(evaluator):
    source = "def f(x): return {'error': [float('nan'), 3, 1.5, 1.5, None][x]}"
    assert evaluator(source, {"x": range(5)}, goal=("error", 1)).evaluate(0, 5, 30.0).best == (1.5, 2)
    assert evaluator(source, {"x": range(5)}, goal=("error", -1)).evaluate(0, 5, 30.0).best == (3.0, 1)
    assert evaluator(source, {"x": range(5)}, goal=("error", 1)).evaluate(0, 1, 30.0).best is None
    assert (
        evaluator("def f(x): return 'text'", {"x": [1]}, goal=("value", 1)).evaluate(0, 1, 30.0).best is None
    )


def test_the_best_is_an_index_not_a_position(evaluator):
    space = grid(("x", range(50), None), order="shuffle", root=1)
    reply = evaluator("def f(x): return abs(x - 20)", space, goal=("value", 1)).evaluate(0, 50, 30.0)
    assert reply.best == (0.0, 20)


def test_infinities_can_be_best(evaluator):
    source = "def f(x): return [1.0, -float('inf')][x]"
    assert evaluator(source, {"x": range(2)}, goal=("value", 1)).evaluate(0, 2, 30.0).best == (-math.inf, 1)


def test_replies_travel(evaluator):
    reply = evaluator("def f(x): return 1 / (x - 1)", {"x": range(3)}, goal=("value", 1)).evaluate(0, 3, 30.0)
    assert unpack(pack(reply)) == reply
    assert unpack(pack(Reply((), 0, fatal="a\nb"))) == Reply((), 0, fatal="a\nb")
    with pytest.raises(ValueError, match="announced"):
        unpack(pack(reply)[:-1])


# Failures.


@pytest.mark.parametrize(
    ("raising", "first"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        (
            "open('/nowhere/at/all')",
            "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/at/all'",
        ),
        ("exec('raise KeyboardInterrupt')", "KeyboardInterrupt"),
        ("__import__('sys').exit(3)", "SystemExit: 3"),
        ("next(iter(()))", "StopIteration"),
        ("compile('1 +', 'text', 'exec')", "SyntaxError: invalid syntax"),
        (
            "exec('raise ExceptionGroup(\"two\", [ValueError(1), KeyError(2)])')",
            "ExceptionGroup: two (2 sub-exceptions)",
        ),
        ("exec('raise ValueError(\"a\\\\nb\")')", "ValueError: a"),
        ("exec('raise GeneratorExit')", "GeneratorExit"),
        ("exec('raise MemoryError')", "MemoryError"),
        ("exec('raise ValueError(\"\\\\ud800\")')", r"ValueError: \ud800"),
        ("deep()", "RecursionError: maximum recursion depth exceeded"),
        ("fails(Nasty)", "Nasty: <exception str() failed>"),
        ("fails(Nastier)", "Nastier: <exception str() failed>"),
    ],
)
def test_a_point_fails_alone_and_says_why(evaluator, raising, first):
    source = f"""
        class Nasty(Exception):
            def __str__(self): raise ValueError("no text")
            __repr__ = __reduce__ = __str__

        class Nastier(BaseException):
            def __str__(self): raise SystemExit(1)
            __repr__ = __reduce__ = __str__

        def deep(): deep()

        def fails(kind): raise kind

        def f(x):
            return {raising} if x == 1 else x
    """
    reply = evaluator(source, {"x": range(3)}).evaluate(0, 3, 30.0)
    assert statuses(reply) == {0: "ok", 1: "error", 2: "ok"}
    assert values(reply) == [0, None, 2]
    failure = table(reply)[1]["failure"]
    assert first in failure.splitlines()[0]
    assert len(failure) <= MOST_TEXT + 100


@pytest.mark.parametrize("signature", ["x", "**options", "*, x"])
def test_the_traceback_is_the_user_s_alone(evaluator, signature):
    source = f"""
        def inner():
            raise KeyError("case")

        def f({signature}):
            inner()
    """
    (row,) = table(evaluator(source, {"x": [1]}).evaluate(0, 1, 30.0))
    lines = row["failure"].splitlines()
    assert lines[:2] == ["KeyError: 'case'", "Traceback (most recent call last):"]
    assert [line.split(", ")[-1] for line in lines if line.startswith("  File ")] == ["in f", "in inner"]
    assert "evaluate.py" not in row["failure"]


def test_the_last_frames_of_many(evaluator):
    source = """
        def down(n):
            if n % 2:
                return down_again(n - 1)
            if n == 0:
                raise ValueError("at the bottom")
            return down_again(n - 1)

        def down_again(n):
            return down(n - 1) if n else down(0)

        def f(x):
            return down(900)
    """
    (row,) = table(evaluator(source, {"x": [1]}).evaluate(0, 1, 30.0))
    assert row["failure"].count("  File ") == MOST_FRAMES
    assert row["failure"].rstrip().endswith("ValueError: at the bottom")


def test_long_messages_are_cut_in_the_middle(evaluator):
    made = evaluator("def f(x): raise ValueError('a' * 5_000_000 + 'the end')", {"x": [1]})
    (row,) = table(made.evaluate(0, 1, 30.0))
    assert len(row["failure"]) < MOST_TEXT + 100
    assert row["failure"].startswith("ValueError: aaa")
    assert row["failure"].rstrip().endswith("the end")
    assert "\n[...]\n" in row["failure"]


def test_the_causes_are_told(evaluator):
    source = """
        def f(x):
            try:
                {}["key"]
            except KeyError as error:
                raise RuntimeError("no such case") from error
    """
    (row,) = table(evaluator(source, {"x": [1]}).evaluate(0, 1, 30.0))
    assert row["failure"].startswith("RuntimeError: no such case\n")
    assert "KeyError: 'key'" in row["failure"]


def test_every_failure_of_a_batch_is_listed_by_position(evaluator):
    space = grid(("x", range(10), None), order="shuffle", root=5)
    reply = evaluator("def f(x): return 1 / (x > 4)", space).evaluate(0, 10, 30.0)
    failed = {
        p for status, ranges in reply.failed if status == "error" for a, b in ranges for p in range(a, b)
    }
    assert failed == set(space.positions([0, 1, 2, 3, 4]).tolist())


def test_describe_survives_anything():
    class WorseError(Exception):
        def __getattribute__(self, name):
            raise SystemExit

    assert "WorseError" in describe(WorseError())


# Objectives that cannot be used.


def test_import_errors_are_described(evaluator):
    with pytest.raises(
        ObjectiveError, match=r"objective\d+:f cannot be imported: ZeroDivisionError: division by zero"
    ):
        evaluator("1 / 0\ndef f(x): pass", {"x": [1]})
    with pytest.raises(ObjectiveError, match=r"cannot be imported: SystemExit: 3"):
        evaluator("import sys; sys.exit(3)\ndef f(x): pass", {"x": [1]})
    with pytest.raises(
        ObjectiveError, match=r"cannot be imported: ModuleNotFoundError: No module named 'nowhere'"
    ):
        evaluator("import nowhere\ndef f(x): pass", {"x": [1]})


def test_what_is_no_function(evaluator):
    with pytest.raises(ObjectiveError, match=r"objective\d+:f is int, not a function"):
        evaluator("f = 3", {"x": [1]})
    with pytest.raises(ObjectiveError, match=r"argument x is positional-only; swath calls with keywords"):
        evaluator("def f(x, /): return x", {"x": [1]})


# What a reply tells of its failures and of its slowest point.


def test_a_reply_tells_the_most_frequent_first_lines_and_where_to_find_one(evaluator):
    source = """
        def f(x):
            if x % 2:
                raise ValueError("odd\\nand more")
            if x > 90:
                return {1}
            if x in (10, 20, 30, 40, 50, 60):
                raise KeyError(x)
        """
    reply = evaluator(source, {"x": range(100)}).evaluate(0, 100, 30.0)
    first, second, *others = reply.complaints
    assert first == ("error", "ValueError: odd", 50, 1)
    assert (second[0], second[2], second[3]) == ("invalid", 4, 92)
    assert others == [("error", f"KeyError: {x}", 1, x) for x in (10, 20, 30)]
    assert unpack(pack(reply)) == reply


def test_what_failures_say_costs_a_reply_little_and_one_without_any_nothing(evaluator):
    made = evaluator("def f(x):\n    if x: raise ValueError(str(x) * 10_000)", {"x": range(1000)})
    reply = made.evaluate(0, 1000, 30.0)
    assert len(reply.complaints) == MOST_COMPLAINTS
    assert max(len(text) for _, text, *_ in reply.complaints) == LONGEST_COMPLAINT
    assert made.evaluate(0, 1, 30.0).complaints == ()


def test_a_reply_tells_its_slowest_point(evaluator, monkeypatch):
    now = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0], time=time.time)
    monkeypatch.setattr("swath.inside.evaluate.time", clock)
    made = evaluator("def f(x, takes): takes(x)", {"x": range(10), "takes": [Opaque("d", "function")]})
    made._constants = {"d": lambda x: now.append(now.pop() + (3.0 if x == 7 else 1.0))}
    assert made.evaluate(0, 10, 30.0).slowest == (3.0, 7)
    assert made.evaluate(0, 0, 30.0).slowest is None


def test_parts_of_a_batch_are_put_together():
    one = Reply(((0, 2),), 2, complaints=(("error", "a", 1, 0), ("error", "b", 1, 1)), slowest=(2.0, 0))
    two = Reply(((2, 4),), 2, complaints=(("error", "b", 2, 2),), slowest=(1.0, 3))
    both = merge([two, one, Reply((), 0)])
    assert both.complaints == (("error", "b", 3, 1), ("error", "a", 1, 0))
    assert both.slowest == (2.0, 0)

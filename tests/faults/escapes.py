"""Texts that try to make an expression or a definition do something: known escapes, and a grammar that makes up more."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

_GOALS = (
    "__import__('os').system('touch owned')",
    "open('owned', 'w')",
    "exec('import os')",
    "eval('1')",
    "compile('1', '', 'eval')",
    "globals()",
    "breakpoint()",
    "getattr(x, 'a')",
    "type(x)",
    "__builtins__['eval']",
    "().__class__.__base__.__subclasses__()",
    "x.__class__.__mro__[1]",
    "''.__class__.__init__.__globals__['os']",
    "x.__reduce_ex__(2)",
    "(lambda: 1)()",
    "[c for c in ().__class__.__bases__]",
    "{}.__class__",
    "f'{x.__class__}'",
    "'{0.__class__}'.format(x)",
    "(y := x.__class__)",
)
"""What an attacker is after."""

_PLACES = (
    "{}",
    "({})",
    "x if {} else 1",
    "1 if x else {}",
    "x and {}",
    "not {}",
    "abs({})",
    "max(1, {})",
    "x in [{}]",
    "x + {} * 2",
    "-{}",
    "x < {} < 2",
)
"""Where in an expression that could stand."""

_SINGLE = (
    *(
        "x.a",
        "x.real",
        "(1).bit_length()",
        "1..real",
        "x[0]",
        "x[:]",
        "x()",
        "abs(x)(1)",
        "abs.__self__",
        "(abs)(x)",
    ),
    *(
        "abs(*x)",
        "abs(**x)",
        "abs(x=1)",
        "abs(x for x in y)",
        "sum(x)",
        "vars()",
        "dir()",
        "input()",
        "help()",
        "id(x)",
    ),
    *(
        "[x for x in y]",
        "{x for x in y}",
        "{x: 1 for x in y}",
        "(x for x in y)",
        "{}",
        "{1}",
        "[1]",
        "()",
        "(1,)",
    ),
    *(
        "lambda: 1",
        "lambda x: x",
        "yield x",
        "await x",
        "async x",
        "x := 1",
        "x = 1",
        "x; y",
        "x\\\ny",
        "x #",
        "x @ y",
    ),
    *(
        "import os",
        "from os import system",
        "del x",
        "assert x",
        "raise x",
        "return x",
        "global x",
        "pass",
        "print x",
    ),
    *(
        "f'x'",
        "rb'x'",
        "u'x'",
        "'a' 'b'",
        "'\\x41'",
        "'\\u0041'",
        "'\\N{DIGIT ONE}'",
        "'''x'''",
        '"""x"""',
        "'a\nb'",
    ),
    *(
        "0x10",
        "0b1",
        "0o7",
        "1j",
        "1_",
        "1__0",
        "01",
        "1e",
        "1e+",
        "1.e.2",
        "...",
        "x...",
        "1 .real",
        "None()",
        "True.x",
    ),
    *(
        "x is y",
        "x is not y",
        "x <> y",
        "x & y",
        "x | y",
        "x ^ y",
        "~x",
        "x << 2",
        "x >> 2",
        "x -> y",
        "x ? y : z",
    ),
    *(
        "`x",
        "x`",
        "``",
        "`x`.y",
        "`x`()",
        "`x`[0]",
        "`__import__`('os')",
        "'",
        '"',
        "(",
        ")",
        "]",
        "}",
        ",",
        ";",
        ":",
    ),
    *(
        "x,",
        "*x",
        "**x",
        "@x",
        "$x",
        "!x",
        "%x",
        "%%x",
        "x!",
        "\\",
        "\0",
        "x\0y",
        "\x1b[31m",
        "\ufeffx",
        "x\u202ey.",
    ),
    *(
        "\uff45\uff56\uff41\uff4c('1')",
        "\u1d49val(1)",
        "x\uff0ey",
        "x\u2024__class__",
        "\u0435val(1)",
        "x\u00b7y()",
    ),
    *(
        "x in y",
        "x in 'abc'",
        "x in (1)",
        "x in [[1]]",
        "x in [x]",
        "x in range(9)",
        "x not",
        "not",
        "in",
        "if",
        "and",
    ),
)
"""Single tricks."""

_LARGE = (
    "(" * 100_000,
    "(" * 3000 + "x" + ")" * 3000,
    "-" * 9000 + "x",
    "not " * 2400 + "x",
    "2" + "**2" * 2400,
    "x" + "+x" * 4900,
    "x" + " if x else x" * 800,
    "abs(" * 2400 + "x" + ")" * 2400,
    "x in [" + "1," * 4900 + "]",
    "x" + " and x" * 1600,
    "max(" + "x," * 4900 + "1)",
    "9" * 10_000,
    "'" + "a" * 20_000 + "'",
    "`" + "a" * 20_000 + "`",
    " " * 20_000,
    "1e" + "9" * 9000 + "*" * 900,
    "1_" * 4000,
    "'\\\\" * 3000,
    "0" * 9000 + "1",
    "x<" * 4900 + "x",
)
"""What would exhaust a stack, a clock or a memory."""

ESCAPES = tuple(
    dict.fromkeys(
        (*(place.format(goal) for goal, place in itertools.product(_GOALS, _PLACES)), *_SINGLE, *_LARGE)
    )
)
"""More than three hundred texts, none of which is an expression."""

COSTLY = (
    "9**9**9",
    "9**9**9**9",
    "(2**900)**900",
    "10**300 * 10**300",
    "'a' * 999999999",
    "[0] * 9",
    "'%1000000000d' % x",
    "round(x, 999999999)",
    "round(10**300, -999999999)",
    "2**-99999999",
    "(10**300)**(10**300)",
    "exp(10**300) ** 10**300",
    "-(9**9**9)",
)
"""Expressions that may be read but cost the earth if they are computed as Python would; or are refused at once."""

_ATOMS = (
    *(
        "x",
        "y",
        "`a b`",
        "s",
        "n",
        "1",
        "0",
        "2.5",
        "1e9",
        "'t'",
        "True",
        "None",
        "9**9",
        "10**300",
        "''",
        "x.y",
        "x[0]",
    ),
    *("f(x)", "__x__", "lambda", "...", "1j", "[1]", "{}", "()", "\u00e9", "abs", "os"),
)
_FUNCTIONS = ("abs", "round", "max", "min", "sqrt", "floor", "log", "hypot", "eval", "open", "x")
_BINARY = (
    *("+", "-", "*", "/", "//", "%", "**", "<", "<=", "==", "!=", ">", "and", "or", "in", "not in"),
    *("is", "&", ".", ":=", "@", ","),
)
_PREFIXES = ("-", "+", "not ", "~", "*", "await ")


def made_up(random: random.Random, depth: int = 0) -> str:  # noqa: PLR0911
    """Return a text that follows the grammar of Python's expressions, more or less."""
    kind = random.random()
    if depth > 5 or kind < 0.3:
        return random.choice(_ATOMS if random.random() < 0.5 else _ATOMS[:15])
    inner = [made_up(random, depth + 1) for _ in range(3)]
    if kind < 0.6:
        return f"{inner[0]} {random.choice(_BINARY if random.random() < 0.2 else _BINARY[:14])} {inner[1]}"
    if kind < 0.7:
        return f"{random.choice(_FUNCTIONS if random.random() < 0.3 else _FUNCTIONS[:8])}({', '.join(inner[: random.randint(0, 3)])})"
    if kind < 0.8:
        return f"({inner[0]})"
    if kind < 0.87:
        return f"{random.choice(_PREFIXES[: 3 if random.random() < 0.8 else 6])}{inner[0]}"
    if kind < 0.94:
        return f"{inner[0]} if {inner[1]} else {inner[2]}"
    return f"{inner[0]} in [{', '.join(inner[1:])}]"

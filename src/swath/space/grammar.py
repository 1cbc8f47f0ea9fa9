"""The grammar of expressions: text in, a small tree of frozen nodes out.

Theory of operation
-------------------
The language is a part of Python's expressions with Python's precedence: numbers, text, ``True``,
``False``, ``None``, names (in backticks if they are no identifiers), arithmetic, comparisons, ``in`` a
list of constants, ``and or not``, ``a if c else b``, and calls of the functions in `FUNCTIONS`. The
reader below is a table of binding powers and a loop (V. Pratt, "Top down operator precedence",
POPL 1973, doi:10.1145/512927.512931). It does not use Python's own parser: that one raises an audit
event, prints warnings and runs out of stack on hostile text, and knows no backticks. What the table
does not hold cannot be said, so nothing needs to be forbidden; the messages only explain why.

Operators of one level make one node with many operands, so that the depth of the tree is the depth
of nesting, and walking it cannot exhaust the stack.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NoReturn

from swath.errors import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CHARACTERS = 10_000
MAX_NODES = 500
MAX_DEPTH = 100
"""Open parentheses and operators; Python's own stack holds about ten times as many calls."""
MAX_INTEGER = 10**300
"""Integers beyond it are refused; each smaller one can still become a float."""

FUNCTIONS = {
    **dict.fromkeys(("abs", "floor", "ceil", "isnan", "sqrt", "exp", "log", "log10", "log2"), (1, 1)),
    **dict.fromkeys(("sin", "cos", "tan", "asin", "acos", "atan"), (1, 1)),
    **dict.fromkeys(("atan2", "hypot"), (2, 2)),
    **dict.fromkeys(("min", "max"), (2, MAX_NODES)),
    "round": (1, 2),
}
"""The functions that an expression may call, each with its least and greatest number of arguments."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant of the text."""

    value: bool | float | str | None


@dataclass(frozen=True, slots=True)
class Members:
    """What stands to the right of ``in``: constants."""

    values: tuple[bool | float | str | None, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A parameter or column, without its backticks."""

    name: str


@dataclass(frozen=True, slots=True)
class Unary:
    """``+x``, ``-x`` or ``not x``."""

    symbol: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Operators of one level from left to right: ``a - b + c``."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A chain of comparisons: ``a < b <= c``; ``in`` is one of them."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Logic:
    """``a and b and c``, or the same with ``or``."""

    symbol: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """``yes if condition else no``."""

    condition: Node
    yes: Node
    no: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the table, with positional arguments."""

    function: str
    arguments: tuple[Node, ...]


Node = Literal | Members | Name | Unary | Arithmetic | Comparison | Logic | Choice | Call


def parse(text: str) -> Node:
    """Read an expression.

    Raises
    ------
    ExpressionError
        Something is not part of the language, or too large; the message quotes the piece of text.
    """
    return _Reader(text).whole()


def names(node: object) -> frozenset[str]:
    """Return every name that a tree reads."""
    if isinstance(node, Name):
        return frozenset({node.name})
    if isinstance(node, tuple):
        return frozenset[str]().union(*map(names, node))
    if isinstance(node, Node):
        return names(tuple(getattr(node, field.name) for field in fields(node)))
    return frozenset()


# Binding powers: the higher, the tighter.

_CHOICE, _OR, _AND, _NOT, _COMPARE, _SUM, _TERM, _SIGN, _POWER = range(1, 10)
_POWERS = {
    "if": _CHOICE,
    "or": _OR,
    "and": _AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not in"), _COMPARE),
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/", "//", "%"), _TERM),
    "**": _POWER,
}
_CONSTANTS = {"True": True, "False": False, "None": None}
_WORDS = frozenset({"if", "else", "or", "and", "not", "in"})

_DIGITS = r"[0-9](?:_?[0-9])*"
_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<float>(?:{_DIGITS}\.(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?|{_DIGITS}[eE][+-]?{_DIGITS})(?![\w.])
    | (?P<int>{_DIGITS})(?![\w.])
    | (?P<word>not\s+in\b|[^\W\d]\w*)
    | `(?P<quoted>[^`]+)`
    | (?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
    | (?P<symbol>\*\*|//|<=|>=|==|!=|[-+*/%<>()\[\],])
    | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t", "r": "\r"}
_REASONS = {
    ".": "attributes are not allowed; a name that holds a dot goes in backticks",
    "=": "there is no assignment; write == to compare",
    ":": "slices, lambdas and := are not allowed",
    "&": "write 'and'",
    "|": "write 'or'",
    "~": "write 'not'",
    "!": "write 'not', or != to compare",
    "^": "write ** for a power",
    "{": "sets and mappings are not allowed",
    "@": "it has no meaning here",
    "#": "comments are not allowed",
    "`": "a backtick is not closed",
    "'": "a text is not closed",
    '"': "a text is not closed",
}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


class _Reader:
    """One pass over one text; the state is the place, the depth and the number of nodes."""

    def __init__(self, text: str) -> None:
        self._text = text
        if not isinstance(text, str):
            self._refuse(f"an expression is text, not {type(text).__name__}")
        if len(text) > MAX_CHARACTERS:
            self._refuse(f"{len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed")
        self._tokens = self._scan()
        self._token = next(self._tokens)
        self._depth = self._nodes = 0

    def _refuse(self, problem: str, at: int | None = None) -> NoReturn:
        text = str(self._text)
        shown = text if len(text) <= 80 else text[:77] + "..."
        piece = "" if at is None else f", at {text[at : at + 20]!r}" if text[at:].strip() else ", at its end"
        raise ExpressionError(f"expression {shown!r}{piece}: {problem}")

    def _scan(self) -> Iterator[_Token]:
        at = 0
        while True:
            found = _TOKEN.match(self._text, at)
            if found is None:
                at += len(self._text[at:]) - len(self._text[at:].lstrip())
                self._refuse(_REASONS.get(self._text[at], "this is not a number, name or operator"), at)
            kind = str(found.lastgroup)
            yield _Token(kind, found[kind], found.start(kind))
            at = found.end()

    def _next(self) -> _Token:
        token = self._token
        if token.kind != "end":
            self._token = next(self._tokens)
        return token

    def _symbol(self) -> str:
        """Return the operator or word that comes next, with one blank in ``not in``; empty if none does."""
        return " ".join(self._token.text.split()) if self._token.kind in {"symbol", "word"} else ""

    def _accept(self, symbol: str) -> bool:
        if self._symbol() != symbol:
            return False
        self._next()
        return True

    def _expect(self, symbol: str) -> None:
        if not self._accept(symbol):
            self._refuse(f"expected {symbol!r}", self._token.at)

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(f"more than {MAX_NODES} operands and operators")

    def whole(self) -> Node:
        if not self._text.strip():
            self._refuse("it is empty")
        node = self._read(_CHOICE)
        if self._token.kind != "end":
            self._refuse(self._surplus(), self._token.at)
        return node

    def _surplus(self) -> str:
        token = self._token
        if token.text == "[":
            return "subscripts are not allowed"
        if token.text == "(":
            return "only the functions of the table can be called"
        if token.kind == "string":
            return "a text cannot follow here; formatted and prefixed texts are not allowed"
        if token.text in {"for", "is"}:
            return {"for": "comprehensions are not allowed", "is": "write == to compare"}[token.text]
        return "this cannot follow here"

    def _read(self, floor: int) -> Node:
        """Read an operand and every operator after it that binds at least as tightly as ``floor``."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse("too deeply nested", self._token.at)
        node = self._operand(floor)
        while (power := _POWERS.get(self._symbol(), 0)) >= floor:
            node = self._continue(node, power)
        self._depth -= 1
        return node

    def _continue(self, node: Node, power: int) -> Node:
        if power == _CHOICE:
            self._count()
            self._next()
            condition = self._read(_OR)
            self._expect("else")
            return Choice(condition, node, self._read(_CHOICE))
        if power in {_OR, _AND}:
            symbol = self._symbol()
            return Logic(symbol, (node, *(right for _, right in self._rest(power))))
        if power == _COMPARE:
            return Comparison(node, tuple(self._rest(power)))
        return Arithmetic(node, tuple(self._rest(power)))

    def _rest(self, power: int) -> Iterator[tuple[str, Node]]:
        while _POWERS.get(symbol := self._symbol()) == power:
            self._count()
            self._next()
            if symbol in {"in", "not in"}:
                yield symbol, self._members()
            else:  # a power binds less tightly than a sign on its right: 2 ** -1
                yield symbol, self._read(_SIGN if power == _POWER else power + 1)

    def _operand(self, floor: int) -> Node:
        self._count()
        token = self._next()
        match token.kind:
            case "int" | "float" | "string":
                return Literal(self._literal(token))
            case "quoted":
                return Name(token.text)
            case "word":
                return self._word(token, floor)
            case _:
                return self._signed(token)

    def _literal(self, token: _Token) -> float | str:
        if token.kind == "float":
            return float(token.text)
        return self._integer(token) if token.kind == "int" else self._string(token)

    def _signed(self, token: _Token) -> Node:
        if token.text in {"+", "-"}:
            return Unary(token.text, self._read(_SIGN))
        if token.text != "(":
            listed = "lists stand only to the right of 'in'"
            self._refuse(listed if token.text == "[" else "expected a number, a name or a text", token.at)
        return self._group()

    def _group(self) -> Node:
        node = self._read(_CHOICE)
        if self._symbol() == ",":
            self._refuse("tuples stand only to the right of 'in'", self._token.at)
        if not self._accept(")"):
            self._refuse(f"expected ')'; {self._surplus()}", self._token.at)
        return node

    def _word(self, token: _Token, floor: int) -> Node:
        word = token.text
        if word == "not" and floor <= _NOT:
            return Unary("not", self._read(_NOT))
        if word in _CONSTANTS:
            return Literal(_CONSTANTS[word])
        if word in _WORDS or word.startswith("not "):  # `not` after an operator, `if` without a value
            self._refuse("expected a number, a name or a text", token.at)
        if keyword.iskeyword(word):
            self._refuse(
                f"'{word}' is a word of Python; a parameter of that name goes in backticks", token.at
            )
        return self._call(token) if self._symbol() == "(" else Name(word)

    def _call(self, token: _Token) -> Node:
        if token.text not in FUNCTIONS:
            self._refuse(
                f"'{token.text}' cannot be called; there are {' '.join(sorted(FUNCTIONS))}", token.at
            )
        self._next()
        arguments = tuple(self._listed(")"))
        least, most = FUNCTIONS[token.text]
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least} or more" if most > 2 else f"{least} or {most}"
            self._refuse(f"'{token.text}' takes {wanted} arguments, not {len(arguments)}", token.at)
        return Call(token.text, arguments)

    def _listed(self, closing: str) -> Iterator[Node]:
        while not self._accept(closing):
            yield self._read(_CHOICE)
            if self._symbol() != closing:
                self._expect(",")

    def _members(self) -> Members:
        token = self._next()
        if token.text not in {"(", "["} or token.kind != "symbol":
            self._refuse("'in' needs a list of constants: x in [1, 2]", token.at)
        nodes = list(self._listed(")" if token.text == "(" else "]"))
        if token.text == "(" and len(nodes) == 1 and "," not in self._text[token.at : self._token.at]:
            self._refuse("a tuple of one value needs a comma: (1,)", token.at)
        return Members(tuple(self._constant(node, token) for node in nodes))

    def _constant(self, node: Node, token: _Token) -> bool | float | str | None:
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, Unary) and isinstance(node.operand, Literal) and node.symbol != "not":
            value = node.operand.value
            if isinstance(value, int | float):
                return -value if node.symbol == "-" else +value
        return self._refuse("'in' needs constants: numbers, texts, True, False, None", token.at)

    def _integer(self, token: _Token) -> int:
        digits = token.text.replace("_", "")
        if len(digits) > 1 and digits.startswith("0") and digits.strip("0"):
            self._refuse("a number does not begin with 0", token.at)
        if len(digits) > 301 or int(digits) > MAX_INTEGER:
            self._refuse("integers go up to 1e300", token.at)
        return int(digits)

    def _string(self, token: _Token) -> str:
        def replace(escape: re.Match[str]) -> str:
            if escape[1] not in _ESCAPES:
                self._refuse(f"the escape {escape[0]} is not allowed; write the character itself", token.at)
            return _ESCAPES[escape[1]]

        return re.sub(r"\\(.)", replace, token.text[1:-1])

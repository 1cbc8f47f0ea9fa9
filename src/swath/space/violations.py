"""A condition as a number: at most zero where it holds, and the larger the further it is from holding.

Theory of operation
-------------------
The tree of a condition becomes a tree that computes the number: ``a < b`` becomes ``a - b``, a chain or ``and`` the
largest of its parts, ``or`` the least, ``not`` the negative. What has no distance (``==``, ``!=``, ``in``, a flag) is -1
where it holds and 1 where it does not. Equality is on neither side: ``a < b`` is 0 for ``a == b``, as is ``a <= b``, so
whoever needs the sign of a strict condition asks the condition itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.space.grammar import Arithmetic, Call, Choice, Comparison, Literal, Logic, Members, Unary

if TYPE_CHECKING:
    from swath.space.grammar import Node


def violation(condition: Node) -> Node:
    """Return the tree of the number."""
    match condition:
        case Comparison(first, rest):
            lefts = (first, *(node for _, node in rest))
            links = [_link(left, symbol, right) for left, (symbol, right) in zip(lefts, rest, strict=False)]
            return _extreme("max", links)
        case Logic("and", parts):
            return _extreme("max", list(map(violation, parts)))
        case Logic(_, parts):
            return _extreme("min", list(map(violation, parts)))
        case Unary("not", operand):
            return Unary("-", violation(operand))
    return _flag(condition)


def _link(left: Node, symbol: str, right: Node) -> Node:
    if isinstance(right, Members) or symbol in {"==", "!="}:
        return _flag(Comparison(left, ((symbol, right),)))
    small, large = (left, right) if symbol in {"<", "<="} else (right, left)
    return Arithmetic(small, (("-", large),))


def _flag(condition: Node) -> Node:
    return Choice(condition, Literal(-1), Literal(1))


def _extreme(function: str, nodes: list[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else Call(function, tuple(nodes))

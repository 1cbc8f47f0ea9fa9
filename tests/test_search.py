"""The proposer: what it proposes, what it makes of outcomes, and that its history is all it depends on."""

import dataclasses

import swath
from swath.definition.domains import Chosen, Interval
from swath.definition.searching import Search
from swath.search import Outcome, Proposer

X = Chosen("x", Interval(-5.0, 5.0))
Y = Chosen("y", Interval(-5.0, 5.0))


def definition(*chosen, method="tpe", points=100, goals=(("loss", 1),), where=None, seed=0, **keys):
    names = {each.name: [0] for each in chosen}
    made = swath.Sweep("study:f", {**names, "k": 7}, where=where, seed=seed).definition
    return dataclasses.replace(
        made, goals=goals, search=Search(method=method, points=points, chosen=chosen, **keys)
    )


def sphere(row):
    return {"loss": sum(value**2 for value in row.values() if isinstance(value, float))}


def losses(proposer, n):
    """Ask and tell, one by one."""
    found = []
    for number in range(proposer.proposed, proposer.proposed + n):
        (row,) = proposer.ask(1)
        assert proposer.tell(number, Outcome("ok", sphere(row))) == ""
        found.append(sphere(row)["loss"])
    return found


def test_a_search_gets_better():
    found = losses(Proposer(definition(X, Y)), 60)
    assert min(found[30:]) < min(found[:10])

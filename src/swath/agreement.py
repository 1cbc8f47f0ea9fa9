"""Does the objective agree with the definition? What it asks for must be provided, and what is provided be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.definition.loading import placed
from swath.errors import DefinitionError, Mistake, ObjectiveError
from swath.objective import locate

if TYPE_CHECKING:
    from swath.definition import Definition
    from swath.objective import Code, Signature


def find_objective(definition: Definition, code: Code | None = None) -> Code:
    """Find a definition's objective as text, and compare its arguments where these are known already.

    Parameters
    ----------
    definition : Definition
        Names it.
    code : Code, optional
        The objective, if it is not to be found by its name.

    Raises
    ------
    ObjectiveError
        If there is none.
    DefinitionError
        If it cannot be called with these parameters.
    """
    code = code or _located(definition)
    if code.signature is not None:
        check_arguments(definition, code.signature)
    return code


def _located(definition: Definition) -> Code:
    try:
        return locate(definition.objective, definition.folder)
    except ObjectiveError as error:
        if definition.file is None or isinstance(
            error.__cause__, SyntaxError | ValueError
        ):  # that one has a place of its own
            raise
        text = str(error).removeprefix(f"objective {definition.objective}: ")
        (mistake,) = placed(definition, [Mistake("objective", text)])
        raise ObjectiveError(str(mistake)) from error


def check_arguments(definition: Definition, signature: Signature) -> None:
    """Compare the objective's arguments with the parameters and derived columns.

    Raises
    ------
    DefinitionError
        With every disagreement, in the order of the file.
    """
    space = definition.space
    conditions = dict.fromkeys(space.names, "")
    for number, block in enumerate(space.blocks, 1):
        for axis in block:
            for name, when in zip(axis.names, axis.conditions, strict=True):
                if when is not None:
                    conditions[name] = f"where ({when.text}) is false"
        for name in set(space.names) - {name for axis in block for name in axis.names}:
            conditions[name] = conditions[name] or f"in block {number} of the union"
    read = {name for expression in space.derive.values() for name in expression.names}
    found = signature.mistakes(definition.objective, parameters=conditions, derived=space.derived, read=read)
    if found:
        raise DefinitionError(placed(definition, found))

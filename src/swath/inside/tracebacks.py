"""An exception in words: what a row keeps of it."""

from __future__ import annotations

from pathlib import Path

from swath.inside.kinds import name_of

MOST_FRAMES, MOST_TEXT = 20, 8_192
"""Frames and characters of a traceback that are kept."""

OURS = tuple(str(Path(__file__).with_name(name)) for name in ("evaluate.py", "steps.py"))
"""Files whose frames at the beginning of a traceback tell nothing."""


def describe(error: BaseException) -> str:
    """Put an exception into words: its first line, then the last frames; never raises."""
    import traceback  # noqa: PLC0415  # a slot without failures does not need it

    try:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename in OURS:
            trace = trace.tb_next
        shown = traceback.TracebackException.from_exception(error.with_traceback(trace), limit=-MOST_FRAMES)
        summary = next(line for line in shown.format_exception_only() if not line.startswith("  "))
        text = f"{summary.splitlines()[0][:500]}\n{''.join(shown.format())}"
    except BaseException:  # noqa: BLE001  # an exception may break everything that looks at it
        text = f"{name_of(type(error))}: (its text cannot be shown)"
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT // 2] + "\n[...]\n" + text[-MOST_TEXT // 2 :]

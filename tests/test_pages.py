"""What the pages of the documentation show is what happens."""

from __future__ import annotations

import doctest
import io
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


def test_the_page_about_questions_to_results(tmp_path, monkeypatch):
    """Every example gives what stands below it; the folder is one that nobody has used."""
    pytest.importorskip("xarray", reason="an extra that the page uses")
    pytest.importorskip("optuna", reason="an extra that the page uses")
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "analysis.md").read_text().replace("\n```\n", "\n\n")  # else the fence is expected output
    test = doctest.DocTestParser().get_doctest(text, {}, "analysis.md", "analysis.md", 0)
    said = io.StringIO()
    found = doctest.DocTestRunner(verbose=False).run(test, out=said.write)
    assert found.attempted > 30
    assert not found.failed, said.getvalue()

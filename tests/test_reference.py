"""The Python reference is of this code, and the documentation builds into a site that needs nobody else."""

from __future__ import annotations

import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import llmwatch

ROOT = Path(__file__).resolve().parents[1]
OUTWARD = re.compile(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(https?://[^"]+)"')


@pytest.fixture(scope="module")
def reference():
    where = ROOT / "docs" / "make_reference.py"
    spec = importlib.util.spec_from_file_location("make_reference", where)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_says_what_the_docstrings_say(reference):
    again = "write it anew: python docs/make_reference.py"
    assert reference.PAGE.read_text("utf-8") == reference.page(), again


def test_everything_that_is_exported_is_explained(reference):
    unexplained = [name for name in llmwatch.__all__ if not inspect.getdoc(getattr(llmwatch, name))]
    assert unexplained == []
    page = reference.page()
    modules = {name for name in llmwatch.__all__ if inspect.ismodule(getattr(llmwatch, name))}
    assert [n for n in llmwatch.__all__ if n not in modules and f"### `{n}`" not in page] == []


def test_a_signature_is_written_as_in_code(reference):
    def ask(text: str, /, *more: int, top: float | None = None, made=object()) -> list[str]:  # noqa: B008
        """Ask."""

    assert reference._signature("ask", ask) == (
        "```py\n"
        "ask(text: str, /, *more: int, top: float | None = None, made=...) -> list[str]\n"
        "```\n\n"
    )


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link_and_asks_nobody_for_anything(tmp_path):
    pytest.importorskip("material", reason="needs mkdocs-material")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "-d",
        str(tmp_path / "site"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(list((ROOT / "docs").rglob("*.md")))
    assert {each for page in pages for each in OUTWARD.findall(page.read_text("utf-8"))} == set()

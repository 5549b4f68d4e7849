"""The documentation is true: its snippets run, its tables are complete, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmwatch import settings
from llmwatch.testing import temporary_store

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MORE = [ROOT / "notebooks" / "README.md", ROOT / "examples" / "README.md"]
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def snippets(page: Path) -> str:
    """The Python of a page as one program, at the lines it has in the page."""
    text = page.read_text(encoding="utf-8")
    lines = [""] * (text.count("\n") + 1)
    for found in SNIPPET.finditer(text):
        first = text[: found.start(1)].count("\n")
        code = found[1].splitlines()
        lines[first : first + len(code)] = code
    return "\n".join(lines)


@pytest.mark.parametrize("page", [page for page in PAGES if snippets(page).strip()], ids=named)
def test_the_snippets_of_a_page_run_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    with temporary_store():
        exec(compile(snippets(page), str(page), "exec"), {"__name__": "snippets"})


@pytest.mark.parametrize("page", [*PAGES, *MORE], ids=named)
def test_the_links_of_a_page_lead_somewhere(page):
    missing = [
        link for link in LINK.findall(page.read_text("utf-8")) if not (page.parent / link).exists()
    ]
    assert missing == []


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page.parent != ROOT]
    assert [page for page in pages if page != "README.md" and f"]({page})" not in index] == []


def test_the_reference_of_settings_is_complete():
    # To write it anew: python -c "from llmwatch import settings; print(settings.as_markdown())"
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert settings.as_markdown() in page

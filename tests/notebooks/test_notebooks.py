"""The notebooks run from top to bottom, offline; what is committed is what their cells show, and of no machine."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

HERE = Path(__file__).resolve().parents[2] / "notebooks"
_spec = importlib.util.spec_from_file_location("notebooks_run", HERE / "run.py")
run = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(run)

NOTEBOOKS = run.notebooks()
QUICK = "01_quickstart.ipynb"
LARGEST = 300_000
OF_A_MACHINE = re.compile(
    r"/home/|/Users/|/root/|/tmp/|/work/|/var/folders/|site-packages|[A-Z]:\\\\Users"
)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def read(path):
    return nbformat.read(path, as_version=4)


def outputs(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            yield from cell.outputs


def shown(output):
    """All that an output says, but for pixels."""
    data = {kind: text for kind, text in output.get("data", {}).items() if kind != "image/png"}
    return "\n".join([str(output.get("text", "")), *map(str, data.values())])


def test_there_are_seven():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{n:02}" for n in range(1, 8)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestWhatIsCommitted:
    def test_it_was_shown_by_the_cells_that_are_there(self, path):
        notebook = read(path)
        again = "run it again: python notebooks/run.py " + path.name[:2]
        assert notebook.metadata["llmwatch"]["sources"] == run.digest(notebook), again
        counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
        assert counts == list(range(1, len(counts) + 1))

    def test_it_holds_no_error(self, path):
        assert [each for each in outputs(read(path)) if each.output_type == "error"] == []
        assert not any("Traceback (most recent" in shown(each) for each in outputs(read(path)))

    def test_it_names_no_place_of_a_machine(self, path):
        found = [OF_A_MACHINE.search(shown(each)) for each in outputs(read(path))]
        assert [match[0] for match in found if match] == []

    def test_it_shows_without_style_sheets_or_scripts(self, path):
        """Pages such as GitHub's take both away: something else has to be left."""
        for each in outputs(read(path)):
            html = each.get("data", {}).get("text/html", "")
            assert "<script" not in html
            assert "<iframe" not in html

    def test_it_is_small(self, path):
        assert path.stat().st_size < LARGEST

    def test_its_links_lead_somewhere(self, path):
        said = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
        assert [link for link in LINK.findall(said) if not (path.parent / link).exists()] == []


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[] if path.name == QUICK else [pytest.mark.slow])
        for path in NOTEBOOKS
    ],
    ids=lambda path: path.stem,
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # jupyter_client's and ipykernel's own
def test_it_runs_from_top_to_bottom(path):
    before = read(path)
    now = run.executed(path)
    assert run.digest(now) == run.digest(before)
    kinds = [[sorted(each.get("data", {})) for each in outputs(each)] for each in (before, now)]
    assert kinds[0] == kinds[1]

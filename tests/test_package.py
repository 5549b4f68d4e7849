"""What is published: a wheel with all that runs and nothing else, and an sdist that the same wheel can be built from."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDED = (
    "llmwatch/py.typed",
    "llmwatch/board/static/index.html",
    "llmwatch/board/static/board.js",
    "llmwatch/board/static/board.css",
    "llmwatch/demo/help_centre.md",
    "llmwatch/demo/llmwatch.toml",
    "llmwatch/scorers/safety/injection.npz",
    "llmwatch/watch/sinks/grafana.json",
)
LARGEST = 2_000_000
"""Bytes of the wheel; it has 1.3 million today."""


def run(*command: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the sdist of this checkout."""
    pytest.importorskip("hatchling", reason="builds the wheel: pip install hatchling")
    place = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", place, cwd=ROOT)
    [wheel], [sdist] = place.glob("*.whl"), place.glob("*.tar.gz")
    return wheel, sdist


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(built):
    names = {name for name in zipfile.ZipFile(built[0]).namelist() if ".dist-info/" not in name}
    tracked = {path for path in (ROOT / "llmwatch").rglob("*") if path.is_file()}
    hidden = {"__pycache__", ".mypy_cache", ".llmwatch"}
    there = {str(path.relative_to(ROOT)) for path in tracked if not hidden & set(path.parts)}
    assert names == there
    assert set(NEEDED) <= names
    assert built[0].stat().st_size < LARGEST


def test_the_sdist_has_what_it_takes_to_work_on_it(built):
    with tarfile.open(built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in (*NEEDED, "tests/conftest.py", "dev.py", "mkdocs.yml", "board-ui/package.json"):
        assert name in names
    assert not [name for name in names if "node_modules" in name]


@pytest.mark.slow
def test_a_fresh_environment_with_the_wheel_runs_the_demo(built, tmp_path):
    wheel, sdist = built
    venv.create(tmp_path / "fresh", with_pip=True)
    python, elsewhere = tmp_path / "fresh" / "bin" / "python", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip = (python, "-m", "pip", "install", "-q")
    run(*pip, wheel, cwd=elsewhere, PYTHONPATH="")
    told = run(
        python.parent / "llmwatch", "demo", "--headless", cwd=elsewhere, PYTHONPATH="", HOME=str(tmp_path)
    )  # fmt: skip
    assert told.count("alert 20") == 5
    assert (elsewhere / "llmwatch-demo").is_dir()
    run(*pip, "--force-reinstall", "--no-deps", sdist, cwd=elsewhere, PYTHONPATH="")
    where = run(
        python, "-c", "import llmwatch; print(llmwatch.__file__)", cwd=elsewhere, PYTHONPATH=""
    )
    assert str(tmp_path / "fresh") in where

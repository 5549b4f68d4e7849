"""The page that is shipped is the page in board-ui/, and a fresh install has it."""

from __future__ import annotations

import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

UI = Path(__file__).parents[2] / "board-ui"
STATIC = files("llmwatch.board") / "static"
NAMES = ("index.html", "board.js", "board.css", "mark.svg")


def test_the_package_carries_the_page():
    for name in NAMES:
        assert (STATIC / name).is_file()


def test_the_page_names_no_other_host():
    for name in NAMES:
        text = (STATIC / name).read_text(encoding="utf-8")
        found = {part.split("/")[0].split('"')[0] for part in text.split("://")[1:]}
        # the names of XML's vocabularies are no addresses
        assert not {host for host in found if not host.startswith(("www.w3.org", "$", "`"))}, found


def test_the_bundle_is_what_its_source_builds(tmp_path):
    if shutil.which("node") is None or not (UI / "node_modules" / "vite").is_dir():
        pytest.skip("Node is not here, or `npm ci` in board-ui was not run")
    for command in (
        ["npx", "tsc", "--noEmit"],
        ["npx", "vite", "build", "--outDir", str(tmp_path), "--logLevel", "error"],
    ):
        done = subprocess.run(command, cwd=UI, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (STATIC / name).read_bytes(), (
            f"{name}: run `npm run build` in board-ui"
        )

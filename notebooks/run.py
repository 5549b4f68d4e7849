"""Run the notebooks from top to bottom and keep what they show: `python notebooks/run.py [NAME ...]`.

Offline, each in a store and a directory of its own that are gone afterwards. `pip install -e ".[dev]"` has what it takes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SECONDS_A_CELL = 300
_ELSEWHERE = ("LLMWATCH_", "WANDB_", "WEAVE_", "OPENAI_")
_RICHEST = ("image/svg+xml", "image/png", "text/html", "text/markdown", "text/plain")
_FAILED = "Traceback (most recent call last)"
_PLACES = (
    (re.compile(r"\b0x[0-9a-fA-F]{8,}"), "0x…"),
    (re.compile(r"(?<=127\.0\.0\.1:)\d{2,5}"), "…"),
)


def notebooks() -> list[Path]:
    return sorted(HERE.glob("*.ipynb"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as 01 (default: all)")
    wanted = parser.parse_args().names
    for path in notebooks():
        if not wanted or any(path.name.startswith(name) for name in wanted):
            started = time.monotonic()
            write(path, executed(path))
            print(
                f"{path.name}: {time.monotonic() - started:.0f} s, {path.stat().st_size >> 10} kB"
            )
    return 0


def executed(path: Path) -> Any:
    """The notebook with what its cells show now; a cell that fails raises."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        client = NotebookClient(
            notebook, timeout=SECONDS_A_CELL, kernel_name="python3", record_timing=False
        )
        client.execute(cwd=directory, env=_environment(directory))
        return cleaned(notebook, directory)


def _environment(directory: str) -> dict[str, str]:
    """Nothing of this machine's settings and accounts; a home, a store and no worker."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_ELSEWHERE)}
    return {
        **kept,
        "HOME": directory,
        "IPYTHONDIR": f"{directory}/.ipython",
        "LLMWATCH_STORE": f"{directory}/.local/share/llmwatch",
        "LLMWATCH_WORKER": "false",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "TMPDIR": directory,
        "PYTHONPATH": str(HERE.parent),
        "PYTHONWARNINGS": "ignore",
        "WANDB_ERROR_REPORTING": "false",
        "WEAVE_PRINT_CALL_LINK": "false",
    }


def cleaned(notebook: Any, directory: str) -> Any:
    """Without what differs from machine to machine: paths, addresses, versions, ids of widgets."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "llmwatch": {"sources": digest(notebook)},
    }
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [_output(output, directory) for output in _joined(cell.outputs)]
    return notebook


def _joined(outputs: list[Any]) -> list[Any]:
    """Pieces of one stream, that came in whatever portions, as one."""
    made: list[Any] = []
    for output in outputs:
        same = made and output.output_type == "stream" and made[-1].get("name") == output.name
        if same:
            made[-1].text += output.text
        else:
            made.append(output)
    return made


def _output(output: Any, directory: str) -> Any:
    if _FAILED in output.get("text", ""):
        raise RuntimeError(f"a command of a notebook failed:\n{output.text}")
    if "text" in output:
        output.text = _said(output.text, directory)
    data = output.get("data", {})
    if len(data) > 1:  # one form of each output, the richest: pages show no other
        richest = next(kind for kind in _RICHEST if kind in data)
        data = output.data = {richest: data[richest]}
    for kind, value in data.items():
        if isinstance(value, str) and not kind.startswith("image/png"):
            data[kind] = _said(value, directory)
    if "metadata" in output:
        output.metadata = {}
    return output


def _said(text: str, directory: str) -> str:
    text = text.replace(os.path.realpath(directory), "~").replace(directory, "~")
    for pattern, instead in _PLACES:
        text = pattern.sub(instead, text)
    return text


def digest(notebook: Any) -> str:
    """Of what the cells say, not of what they showed: it is kept with the outputs, so that they can be told to be of these cells."""
    said = "\0".join(f"{cell.cell_type}\0{cell.source}" for cell in notebook.cells)
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def write(path: Path, notebook: Any) -> None:
    import nbformat

    nbformat.validate(notebook)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    sys.exit(main())

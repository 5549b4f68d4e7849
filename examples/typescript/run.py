"""Weave's npm client, unmodified, logging here: installs it, starts `llmwatch serve`, runs bot.ts, reads its rows.

    python examples/typescript/run.py

Needs Node 20 or newer and npm; the packages are installed once, beside this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from local_server import local_server  # noqa: E402 - beside this directory

from llmwatch import StreamTable  # noqa: E402


def install() -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise SystemExit("this example needs Node and npm: https://nodejs.org")
    if not (HERE / "node_modules" / ".package-lock.json").exists():
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
        subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    install()
    with local_server() as variables:
        command = ["node", "--import", "tsx", "bot.ts"]
        subprocess.run(command, cwd=HERE, env={**os.environ, **variables}, check=True)
    rows = StreamTable("example-typescript/traces").query(
        "SELECT op_name, parent_id IS NULL AS root, status FROM traces ORDER BY started_at, id"
    )
    for row in rows.dicts():
        name = row["op_name"].rpartition("/")[2].partition(":")[0]
        print(f"{'' if row['root'] else '  '}{name}: {row['status']}")


if __name__ == "__main__":
    main()

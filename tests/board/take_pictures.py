"""The pictures in the README and the docs: `python tests/board/take_pictures.py`. Needs Chromium, playwright and pillow."""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import support_traffic  # noqa: E402
from conftest import ARGUMENTS, served  # noqa: E402

from llmwatch.testing.stores import temporary_store  # noqa: E402

TRACES = "/local/support-bot/traces"


def generation(page: Any) -> None:
    page.locator(".line", has=page.locator(".mark.poor")).first.click()
    page.wait_for_selector(".waterfall")
    page.locator(".span", has_text="generate").click()
    page.wait_for_selector(".talk .said-assistant")


def changed(page: Any) -> None:
    page.keyboard.press("w")
    page.wait_for_selector(".causes li")


def nothing(page: Any) -> None:
    del page


PICTURES: dict[str, tuple[str, str, int, int, Callable[[Any], None]]] = {
    "board-traces": (f"{TRACES}?seed=traces", "dark", 1440, 1180, nothing),
    "board-llm": (f"{TRACES}?seed=llm", "light", 1440, 1180, nothing),
    "board-trace": (f"{TRACES}?seed=traces", "dark", 1440, 900, generation),
    "board-changed": (f"{TRACES}?seed=traces&range={{begin}}-{{end}}", "light", 1440, 900, changed),
    "board-phone": (f"{TRACES}?seed=traces", "light", 390, 844, nothing),
}


def _incident() -> dict[str, int]:
    """When answers were slow: `support_traffic` has that from 7 to 5 hours ago."""
    now = int(time.time() * 1e6)
    return {"begin": now - 7 * 3_600_000_000, "end": now - 5 * 3_600_000_000}


def main() -> None:
    from PIL import Image
    from playwright.sync_api import sync_playwright

    out = ROOT / "docs" / "images"
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, temporary_store(Path(directory)) as store:
        support_traffic.make(Path(directory), traces=4000)
        with served(store) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=list(ARGUMENTS)
            )
            for name, (path, theme, width, height, act) in PICTURES.items():
                page = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=theme
                ).new_page()
                page.goto(address + path.format(**_incident()))
                page.wait_for_selector(".line:not(.blank)")
                page.wait_for_selector(".skeleton", state="detached")
                page.wait_for_selector("main[aria-busy=false]")
                act(page)
                page.wait_for_timeout(700)
                picture = Image.open(io.BytesIO(page.screenshot()))
                picture.save(out / f"{name}.webp", quality=86, method=6)
                print(name, (out / f"{name}.webp").stat().st_size)
                page.context.close()
            browser.close()


if __name__ == "__main__":
    main()

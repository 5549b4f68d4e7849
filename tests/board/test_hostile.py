"""Rows that mean harm, and rows that are merely strange: shown as what they are, and nothing of them runs."""

from __future__ import annotations

import json

import orjson
import pytest
from conftest import served

from llmwatch import StreamTable, capture, clock, settings
from llmwatch.stream import spool

SCRIPT = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'><svg onload=window.hacked=1>"
LINK = "[click](javascript:window.hacked=1) javascript:window.hacked=1 data:text/html,<script>window.hacked=1</script>"
BIDI = "safe\u202egnp.exe\u2066\u200b\u0007end"


@pytest.fixture
def hostile(llmwatch_store):
    """Calls and dicts with all of it in every place that is shown."""
    project = llmwatch_store.project("local", "x")
    writer = spool.writer(project, "traces", settings.current())
    trace = clock.new_id()
    for n, text in enumerate((SCRIPT, LINK, BIDI)):
        body = {
            "id": clock.new_id(), "trace_id": trace, "op_name": text, "display_name": text, "kind": text, "status": "error",
            "model": text, "user_id": text, "version": text, "session_id": text, "latency_ms": 5.0 + n, "started_at": clock.now_us(),
            "exception_type": text, "exception": f"Traceback\n{text}\n{text}: {text}",
            "inputs": {"messages": [{"role": text, "content": text}, {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,PHN2Zz4="}}, {"type": "text", "text": f"# {text}\n\n| {text} | b |\n|---|---|\n| `{text}` | **{text}** |"}]}], text: text},
            "output": {"choices": [{"message": {"role": "assistant", "content": text, "tool_calls": [{"function": {"name": text, "arguments": "{" + text}}]}}]},
            "attributes": {text: {text: [text]}},
        }  # fmt: skip
        writer.append("row", orjson.dumps({**body, "parent_id": None}))
    table = StreamTable("x/strange")
    deep: object = "bottom"
    for _ in range(300):
        deep = {"d": deep}
    table.log(
        {
            SCRIPT: SCRIPT,
            BIDI: BIDI,
            "__proto__": "p",
            "constructor": 1,
            "_type": "image",
            "picture": {"_type": "image", "file": "../../../etc/passwd.png"},
        }
    )
    table.log({f"column {n}": n for n in range(500)})
    table.log({"deep": deep, "nan": float("nan"), "big": 2**70, "lone": "\ud800"})
    table.log(
        {"html": capture.media.Bytes(b"<script>window.hacked=1</script>" * 200, type="text/html")}
    )
    table.log({"text": "x" * (20 << 20)})
    return llmwatch_store


@pytest.mark.parametrize("seed", ["traces", "llm", "quality", "product", "simple"])
def test_no_text_of_a_call_becomes_anything_but_text(hostile, open_page, seed):
    with served(hostile) as address:
        page = open_page(f"{address}/local/x/traces?seed={seed}&group=model")
        page.wait_for_selector(".skeleton", state="detached")
        for n in range(page.locator(".line").count()):
            page.locator(".line").nth(n).locator("[role=gridcell]").first.click()
            page.wait_for_selector(".row-view .facts")
            folded = page.locator(".row-view .part h3 button[aria-expanded=false]:not(.tried)")
            while folded.count():
                button = folded.first.element_handle()
                button.click()
                button.evaluate("b => b.classList.add('tried')")
            page.keyboard.press("Escape")
        assert page.evaluate("window.hacked") is None
        assert (
            page.locator(
                "#page script, #page img[src=x], #page svg[onload], #page a[href^='javascript']"
            ).count()
            == 0
        )
        shown = page.locator("#page").inner_text()
        assert "\u202e" not in shown
        assert "\u200b" not in shown


def test_strange_rows_500_columns_20_mb_deep_json_are_shown_and_opened(hostile, open_page):
    with served(hostile) as address:
        page = open_page(f"{address}/local/x/strange")
        assert page.locator(".line").count() == 5
        for n in range(5):
            page.locator(".line").nth(n).locator("[role=gridcell]").first.click()
            page.wait_for_selector(".row-view .part-body")
            page.keyboard.press("Escape")
        assert page.evaluate("window.hacked") is None
        assert page.evaluate("({}).polluted") is None
        page.get_by_role("button", name="Columns").click()
        assert page.locator(".chooser li").count() >= 200


def test_a_board_spec_of_another_person_draws_text_only(hostile, open_page):
    from llmwatch.board.spec import Board

    board = Board("evil", table="x/traces", title=SCRIPT)
    board.add("note", text=SCRIPT, title=SCRIPT).add("number", measure="count", title=SCRIPT).add(
        "rows", title=SCRIPT
    )
    board.save(store=hostile.root)
    with served(hostile) as address:
        page = open_page(f"{address}/local/x/traces?board=evil")
        assert page.evaluate("window.hacked") is None
        assert SCRIPT in page.locator(".note-text").inner_text()


@pytest.mark.parametrize(
    "address",
    [
        "?f=notjson",
        "?f=%5B1%2Cnull%5D",
        "?range=nonsense",
        "?columns=nope",
        "?sort=nope",
        "?row=nope",
        "?board=nope",
        "?seed=nope",
        "?where=1%3D",
    ],
)
def test_an_address_that_was_cut_or_made_up_says_what_is_wrong_or_shows_the_table(
    hostile, open_page, address
):
    with served(hostile) as at:
        page = open_page(f"{at}/local/x/traces{address}", rows=False)
        page.wait_for_selector(".line, .wrong, .rows-none")
        page.close()  # no answer can come after the look at what was said
        page.said[:] = [text for text in page.said if "status of 40" not in text]


def test_a_column_with_quotes_and_sql_in_its_name_is_a_column(llmwatch_store, open_page):
    name = 'a"; DROP TABLE x; --'
    StreamTable("x/t").log([{name: n, "g'": "v'\""} for n in range(5)])
    with served(llmwatch_store) as address:
        chips = json.dumps(
            [{"column": name, "op": ">=", "value": 2}, {"column": "g'", "op": "=", "value": "v'\""}]
        )
        from urllib.parse import quote

        page = open_page(
            f"{address}/local/x/t?f={quote(chips)}&group={quote(chr(103) + chr(39))}&sort={quote(name)}"
        )
        assert page.locator(".line").count() == 3
        assert page.locator(".wrong").count() == 0

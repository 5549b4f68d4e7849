"""Boards and rows in a notebook: small, static, escaped; and the live page in a frame."""

from __future__ import annotations

import httpx

from llmwatch import StreamTable
from llmwatch.board.notebook import Live


def test_the_live_board_is_framed_by_a_page_of_this_machine_only(llmwatch_store):
    StreamTable("x/t").log({"n": 1})
    live = Live("x/t", seed="simple")
    assert live.url in live._repr_html_()
    policy = httpx.get(live.url).headers["content-security-policy"]
    assert "frame-ancestors http://localhost:*" in policy
    assert "unsafe-inline" not in policy


def test_a_row_shows_what_it_holds_escaped(llmwatch_store):
    table = StreamTable("x/t")
    table.log({"<b>": "<script>alert(1)</script>", "n": 3, "none": None})
    html = table.tail(1)[0]._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "none" not in html

"""A page that stays open while rows come, are compacted, vacuumed and erased."""

from __future__ import annotations

import re
import threading
import time

from conftest import served

from llmwatch import StreamTable
from llmwatch.stream import spool
from llmwatch.stream.compact import compact
from llmwatch.stream.erase import erase
from llmwatch.stream.merge import merge_small
from llmwatch.stream.retention import vacuum


def shows(page, rows: int) -> None:
    page.locator(".rows-note", has_text=re.compile(rf"^{rows:,}$")).wait_for()


def test_rows_show_as_they_come_at_the_top_and_wait_behind_a_button_further_down(
    llmwatch_store, open_page
):
    table = StreamTable("x/t")
    table.log([{"n": n} for n in range(300)])
    with served(llmwatch_store) as address:
        page = open_page(f"{address}/local/x/t?range=all")
        shows(page, 300)
        table.log({"n": 300})
        page.locator(".line", has_text="300").first.wait_for()
        shows(page, 301)
        box = page.locator(".rows-box").element_handle()
        page.evaluate("b => b.scrollTop = 3400", box)
        row = page.locator('.line[aria-rowindex="106"]')
        row.click()
        page.wait_for_selector(".row-view .facts")
        before, chosen = page.evaluate("b => b.scrollTop", box), row.inner_text()
        table.log([{"n": n} for n in range(301, 311)])
        page.get_by_role("button", name="10 new rows").wait_for()
        assert page.evaluate("b => b.scrollTop", box) == before
        assert page.locator(".line.chosen").inner_text() == chosen
        page.keyboard.press("Escape")
        page.get_by_role("button", name="10 new rows").click()
        page.locator(".line", has_text="310").first.wait_for()


def test_a_paused_page_stands_still_and_goes_on(llmwatch_store, open_page):
    table = StreamTable("x/t")
    table.log([{"n": n} for n in range(5)])
    with served(llmwatch_store) as address:
        page = open_page(f"{address}/local/x/t?range=all")
        page.keyboard.press("l")
        page.get_by_role("button", name="Paused").wait_for()
        table.log({"n": 5})
        page.wait_for_timeout(1500)
        shows(page, 5)
        page.keyboard.press("l")
        shows(page, 6)


def test_two_pages_stay_right_while_the_table_grows_is_compacted_vacuumed_and_erased_from(
    llmwatch_store, open_page
):
    table = StreamTable("x/t")
    table.log([{"n": n, "user_id": "ada" if n % 2 else "ben"} for n in range(40)])
    with served(llmwatch_store) as address:
        pages = [
            open_page(f"{address}/local/x/t?range=all{sort}") for sort in ("", "&sort=user_id")
        ]
        for wave in range(1, 4):
            table.log([{"n": 1000 + n, "user_id": "ben"} for n in range(10)])
            spool.close_all()
            compact(table.project, "t")
            merge_small(table.project, "t", everything=True)
            vacuum(table.project, older_than_s=0, fold=True)
            for page in pages:
                shows(page, 40 + wave * 10)
        scrolled, opened = pages
        scrolled.evaluate("document.querySelector('.rows-box').scrollTop = 1200")
        scrolled.locator(".line:not(.blank)", has_text="ada").first.wait_for()
        opened.locator(".line", has_text="ada").first.click()
        opened.locator(".row-view", has_text="ada").wait_for()
        erase(table.project, where="user_id = 'ada'")
        for page in pages:
            shows(page, 50)
            page.locator("#page:not(:has-text('ada'))").wait_for()
        opened.locator(".row-view .wrong", has_text="erased").wait_for()
        opened.said.clear()  # the browser tells of the row that is gone on its console
        assert scrolled.locator(".wrong").count() == 0


def test_a_page_counts_every_row_that_pours_in_while_it_asks(llmwatch_store, open_page):
    table = StreamTable("x/t")
    table.log([{"n": n} for n in range(50)])
    with served(llmwatch_store) as address:
        page = open_page(f"{address}/local/x/t?range=all")
        writers = [threading.Thread(target=pour, args=(n,)) for n in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        shows(page, 50 + 4 * 150)


def pour(number: int) -> None:
    table = StreamTable("x/t")
    for n in range(150):
        table.log({"n": n, "by": number})
        time.sleep(0.01)


def test_a_page_that_got_no_answer_asks_again(llmwatch_store, open_page):
    table = StreamTable("x/t")
    table.log([{"text": f"apples {n}"} for n in range(30)])
    with served(llmwatch_store) as address:
        page = open_page(f"{address}/local/x/t?range=all")
        failing = {"rows": 2, "ask": 2}

        def fail(route):
            what = route.request.url.rpartition("/")[2]
            failing[what] -= 1
            if failing[what] >= 0:
                return route.fulfill(status=500, json={"error": "not now"})
            return route.continue_()

        page.route(re.compile("/(rows|ask)$"), fail)
        table.log([{"text": "apples at last"}])
        page.locator(".wrong", has_text="not now").first.wait_for()
        shows(page, 31)
        page.wait_for_selector(".wrong", state="detached")
        page.said.clear()  # the browser tells of each on its console


def test_a_search_goes_on_with_rows_that_come(llmwatch_store, open_page):
    table = StreamTable("x/t")
    table.log([{"text": f"apples {n}"} for n in range(30)] + [{"text": "pears"}] * 30)
    with served(llmwatch_store) as address:
        page = open_page(f"{address}/local/x/t?range=all&q=apples")
        shows(page, 30)
        page.locator(".line", has_text="apples 29").first.wait_for()
        table.log([{"text": "apples at last"}, {"text": "pears"}])
        shows(page, 31)
        page.locator(".line", has_text="apples at last").first.wait_for()

"""The page in a real browser against the real server: everything a person does on it."""

from __future__ import annotations

import json
import re
import urllib.parse

import pytest

TRACES = "/local/support-bot/traces"


def chips(*filters) -> str:
    return "f=" + urllib.parse.quote(
        json.dumps([dict(zip(("column", "op", "value"), f, strict=True)) for f in filters])
    )


def count(page) -> int:
    text = page.locator(".rows-note").inner_text()
    return int(re.sub(r"\D", "", text) or 0)


def settled(page) -> None:
    page.wait_for_timeout(150)
    page.wait_for_selector("main[aria-busy=false]")
    page.wait_for_selector(".line:not(.blank), .rows-none")
    page.locator(".rows-note", has_text=re.compile(r"^[\d,]+$")).wait_for()


def wait_count(page, rows: int) -> None:
    page.locator(".rows-note", has_text=re.compile(rf"^{rows:,}$")).wait_for()


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("seed", ["traces", "llm", "quality", "product", "simple"])
def test_each_seed_draws_all_its_panels_without_an_error(board, open_page, seed, theme):
    page = open_page(f"{board}{TRACES}?seed={seed}", theme=theme)
    page.wait_for_selector(".skeleton", state="detached")
    assert page.locator(".panel .wrong").count() == 0
    assert page.locator(".panel").count() >= 6
    assert page.evaluate("document.documentElement.dataset.theme") == theme


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_on_a_phone_nothing_lies_beside_the_screen(board, open_page, theme):
    page = open_page(f"{board}{TRACES}", theme=theme, width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".line").nth(2).click()
    page.wait_for_selector(".row-view .facts")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Close").click()
    page.wait_for_selector(".row-view", state="detached")


def test_dragging_over_a_chart_sets_the_range_for_every_panel_and_back_takes_it_back(
    board, open_page
):
    page = open_page(f"{board}{TRACES}")
    whole = count(page)
    over = page.locator("[data-panel=traces-by-outcome] .u-over")
    box = over.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 40, steps=6)
    page.mouse.up()
    page.wait_for_url(re.compile(r"range=\d+-\d+"))
    settled(page)
    page.locator(".rows-note").get_by_text(f"{whole:,}", exact=True).wait_for(state="detached")
    narrowed = count(page)
    assert 0 < narrowed < whole
    number = page.locator("[data-panel=traces] .single-value")
    number.get_by_text(f"{narrowed:,}").wait_for()
    page.go_back()
    wait_count(page, whole)


def test_a_legend_a_list_and_a_cell_filter_by_what_they_show(board, open_page):
    page = open_page(f"{board}{TRACES}?seed=traces")
    page.locator("[data-panel=traces-by-outcome] .legend-item", has_text="error").click()
    page.locator(".chip", has_text="status").wait_for()
    settled(page)
    assert set(page.locator(".line .status").all_inner_texts()) == {"error"}
    page.get_by_role("button", name="Take the filter on status away").click()
    page.wait_for_selector(".chip", state="detached")
    page.locator("[data-panel=errors-by-type] .list button").first.click()
    page.locator(".chip", has_text="exception_type").wait_for()


def test_a_filter_is_added_from_the_values_that_are_there(board, open_page):
    page = open_page(f"{board}{TRACES}")
    page.keyboard.press("f")
    page.get_by_label("Column", exact=True).select_option("version")
    page.locator(".offered button", has_text="1.4.0").click()
    page.locator(".chip", has_text="version is 1.4.0").wait_for()
    settled(page)
    assert "1.4.0" in page.locator(".line").first.inner_text()


def test_a_condition_filters_and_a_wrong_one_says_what_is_wrong(board, open_page):
    page = open_page(f"{board}{TRACES}")
    page.get_by_role("button", name="Condition").click()
    written = page.get_by_label("Condition, as in SQL")
    written.fill("latency_ms > 2000 AND status = 'success'")
    written.press("Enter")
    settled(page)
    page.wait_for_url(re.compile("where="))
    assert count(page) > 0
    written.fill("latency >>> 3")
    written.press("Enter")
    page.locator(".rows .wrong, .board > .wrong").first.wait_for()
    page.said.clear()  # the browser tells of the refused request on its console
    page.get_by_role("button", name="Clear").click()
    page.locator(".wrong").first.wait_for(state="detached")


def test_a_search_finds_a_text_from_the_keyboard(board, open_page):
    page = open_page(f"{board}{TRACES}")
    page.keyboard.press("/")
    page.keyboard.type("okta")
    page.wait_for_url(re.compile("q=okta"))
    settled(page)
    page.locator(".line", has_text="Okta").first.wait_for()
    for text in page.locator(".line").all_inner_texts()[:10]:
        assert "Okta" in text or "SSO" in text or "audience" in text or "SAML" in text


def test_sorting_turns_round_and_follows_the_column(board, open_page):
    page = open_page(f"{board}{TRACES}?range=all")
    heading = page.get_by_role("columnheader", name="latency")
    heading.get_by_role("button").click()
    page.wait_for_selector("[role=columnheader][aria-sort=descending] >> text=latency")
    settled(page)
    down = page.locator(".line").first.inner_text()
    heading.get_by_role("button").click()
    page.wait_for_selector("[role=columnheader][aria-sort=ascending] >> text=latency")
    page.wait_for_function(
        "before => document.querySelector('.line').innerText !== before", arg=down
    )


def test_grouping_splits_the_charts_and_lists_the_groups(board, open_page):
    page = open_page(f"{board}{TRACES}?seed=llm")
    page.get_by_label("Group by").select_option("version")
    page.locator("[data-panel=grouped]").wait_for()
    page.locator("[data-panel=grouped] td", has_text="1.4.0").wait_for()
    page.locator("[data-panel=requests-2] .legend-item", has_text="1.3.2").wait_for()


def test_the_middle_and_the_end_of_the_table_are_a_scroll_away(board, open_page):
    page = open_page(f"{board}{TRACES}?seed=simple&range=all")
    page.evaluate("b => b.scrollTop = b.scrollHeight", page.locator(".rows-box").element_handle())
    page.locator('.line[aria-rowindex="1201"]').wait_for()
    page.evaluate(
        "b => b.scrollTop = b.scrollHeight / 2", page.locator(".rows-box").element_handle()
    )
    page.locator('.line[aria-rowindex="606"]').wait_for()
    assert page.locator(".line").count() < 60


def test_columns_are_chosen_and_stay_in_the_address(board, open_page):
    page = open_page(f"{board}{TRACES}")
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("trace_id").check()
    page.get_by_role("columnheader", name="trace id").wait_for()
    assert "trace_id" in urllib.parse.unquote(page.url)


def test_keys_walk_the_rows_open_and_close(board, open_page):
    page = open_page(f"{board}{TRACES}")
    page.keyboard.press("j")
    page.wait_for_selector(".row-view .facts")
    first = page.url
    page.keyboard.press("j")
    page.wait_for_url(lambda url: url != first)
    page.keyboard.press("k")
    page.wait_for_url(first)
    page.keyboard.press("Escape")
    page.wait_for_selector(".row-view", state="detached")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()


def test_a_trace_shows_its_calls_as_a_tree_in_time_and_a_chat_as_a_conversation(board, open_page):
    page = open_page(f"{board}{TRACES}?{chips(('status', '=', 'success'))}")
    page.locator(".line").nth(1).click()
    page.wait_for_selector(".waterfall .span")
    assert page.locator(".span-title").all_inner_texts() == ["answer", "retrieve", "generate"]
    page.locator(".span", has_text="generate").click()
    page.wait_for_selector(".talk .said-assistant")
    assert page.locator(".who").all_text_contents() == ["system", "user", "assistant"]
    assert page.locator(".score", has_text="groundedness").count() == 0, "scores are the root's"
    page.locator(".span", has_text="answer").click()
    page.locator(".score", has_text="groundedness").wait_for()
    page.get_by_role("button", name="Identity").click()
    page.locator(".j-entry", has_text="trace_id").wait_for()


def test_an_exception_is_told_with_its_traceback(board, open_page):
    page = open_page(f"{board}{TRACES}?{chips(('status', '=', 'error'))}")
    page.locator(".line").first.click()
    page.get_by_label("Exception").get_by_text("bot.py", exact=False).first.wait_for()


def test_similar_rows_are_those_with_near_embeddings(board, open_page):
    page = open_page(f"{board}{TRACES}?seed=llm&{chips(('kind', '=', 'generation'))}")
    page.locator(".line").first.click()
    page.get_by_role("button", name="Similar rows").click()
    page.wait_for_selector(".similar b")


def test_two_rows_are_compared_word_by_word(board, open_page):
    page = open_page(f"{board}{TRACES}")
    page.locator(".line").nth(1).click()
    page.wait_for_selector(".row-view .facts")
    page.keyboard.press("c")
    page.keyboard.press("j")
    page.wait_for_selector(".compared ins")
    page.get_by_role("button", name="Stop comparing").click()
    page.wait_for_selector(".compared", state="detached")


def test_thumbs_stars_notes_corrections_and_labels_are_seen_at_once_and_after_a_reload(
    board, open_page
):
    page = open_page(f"{board}{TRACES}?sort=timestamp")
    page.locator(".line").nth(4).click()
    page.wait_for_selector(".feedback")
    up = page.get_by_role("button", name="Good answer")
    before = up.get_attribute("aria-pressed")
    up.click()
    page.locator(
        f".feedback [aria-label='Good answer'][aria-pressed={'false' if before == 'true' else 'true'}]"
    ).wait_for()
    page.get_by_role("button", name="4 stars").click()
    page.locator(".star.on-star").nth(3).wait_for()
    for button, text in (("Note", "look at this"), ("Correct", "it is per seat")):
        page.get_by_role("button", name=button, exact=True).click()
        page.locator(".feedback-form textarea").fill(text)
        page.get_by_role("button", name="Save", exact=True).click()
        page.locator(".voice", has_text=text).wait_for()
    page.get_by_role("button", name="Label", exact=True).click()
    page.get_by_label("Label", exact=True).fill("tone")
    page.get_by_label("Value").fill("kind")
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator(".score.label", has_text="tone").wait_for()
    page.reload()
    page.locator(".voice", has_text="it is per seat").wait_for()
    page.locator(".line.chosen .mark", has_text="tone: kind").wait_for()
    page.locator(".voice", has_text="look at this").get_by_role("button", name="take back").click()
    page.locator(".voice", has_text="look at this").wait_for(state="detached")


def test_a_distribution_and_a_heat_map_filter_by_what_is_dragged_over(board, open_page):
    page = open_page(f"{board}{TRACES}?seed=simple")
    bars = page.locator("[data-panel=latency-ms] .bar")
    bars.nth(20).dispatch_event("pointerdown")
    bars.nth(30).dispatch_event("pointerover")
    bars.nth(30).dispatch_event("pointerup")
    page.locator(".chip", has_text="latency_ms").first.wait_for()
    page = open_page(f"{board}{TRACES}?seed=traces")
    box = page.locator(".heat").bounding_box()
    page.mouse.move(box["x"] + 120, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 220, box["y"] + 90, steps=5)
    page.mouse.up()
    page.wait_for_url(re.compile(r"range=\d+-\d+"))
    page.locator(".chip", has_text="latency_ms").first.wait_for()


def test_an_edited_board_is_seen_at_once_told_what_is_wrong_saved_and_opened_again(
    board, open_page
):
    page = open_page(f"{board}{TRACES}?seed=simple")
    page.keyboard.press("e")
    spec = page.get_by_label("The board's JSON")
    made = json.loads(spec.input_value())
    made["panels"] = [
        {
            "id": "mine",
            "kind": "number",
            "title": "My count",
            "measure": "count",
            "at": [0, 0, 8, 6],
        },
        {"id": "bad", "kind": "pie"},
    ]
    spec.fill(json.dumps(made))
    page.locator(".problems", has_text="pie").wait_for()
    page.said.clear()
    made["panels"][1] = {"id": "rows", "kind": "rows", "at": [0, 6, 24, 24]}
    spec.fill(json.dumps(made))
    page.locator(".panel h2", has_text="My count").wait_for()
    page.get_by_label("Name", exact=True).fill("my-board")
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator(".boards button", has_text="my-board").wait_for()
    page.goto(f"{board}{TRACES}?board=my-board")
    page.locator(".panel h2", has_text="My count").wait_for()


def test_the_link_to_a_row_alone_finds_its_table(board, open_page):
    page = open_page(f"{board}{TRACES}")
    page.locator(".line").first.click()
    page.wait_for_url(re.compile("row="))
    row = urllib.parse.parse_qs(urllib.parse.urlsplit(page.url).query)["row"][0]
    again = open_page(f"{board}/local/support-bot/rows/{row}")
    again.wait_for_selector(".row-view .facts")


def test_export_and_theme_are_in_the_menu(board, open_page):
    page = open_page(f"{board}{TRACES}")
    page.get_by_role("button", name="More").click()
    with page.expect_download() as download:
        page.get_by_text("Export as CSV").click()
    assert download.value.suggested_filename == "traces.csv"
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_pictures_are_shown_in_the_table_and_in_the_row(board, open_page):
    page = open_page(f"{board}/local/support-bot/captions")
    page.wait_for_selector(".line img.thumb")
    page.locator(".line").first.click()
    page.wait_for_selector(".row-view img.picture")
    assert page.evaluate("document.querySelector('.row-view img.picture').naturalWidth") == 160


def test_without_a_table_there_is_a_list_of_them(board, open_page):
    page = open_page(board + "/", rows=False)
    page.get_by_role("link", name="traces").click()
    page.wait_for_selector(".line:not(.blank)")


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("opened", [False, True])
def test_axe_finds_no_serious_fault(board, browser, theme, opened):
    from pathlib import Path

    axe = Path(__file__).parents[2] / "board-ui" / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.is_file():
        pytest.skip("axe-core is not installed: npm ci in board-ui")
    context = browser.new_context(
        viewport={"width": 1440, "height": 1000}, color_scheme=theme, bypass_csp=True
    )
    page = context.new_page()
    page.goto(f"{board}{TRACES}")
    page.wait_for_selector(".line:not(.blank)")
    page.wait_for_selector(".skeleton", state="detached")
    if opened:
        page.locator(".line").nth(2).click()
        page.wait_for_selector(".waterfall")
        page.wait_for_selector(".row-view .part")
    page.add_script_tag(path=str(axe))
    found = page.evaluate(
        "axe.run().then(r => r.violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v => [v.id, v.nodes.length, v.nodes[0].html.slice(0, 160), v.nodes[0].failureSummary.slice(0, 300)]))"
    )
    context.close()
    assert found == []


def test_what_changed_is_a_key_away_and_a_cause_is_a_filter(board, open_page):
    page = open_page(f"{board}{TRACES}?range=all")
    page.keyboard.press("w")
    dialog = page.get_by_role("dialog", name="What changed?")
    dialog.locator(".outcomes li", has_text="latency").wait_for()
    dialog.locator(".causes button:not([disabled])").first.click()
    page.wait_for_url(re.compile("where="))
    settled(page)
    page.get_by_role("button", name="What changed?").click()
    dialog.get_by_role("button", name="With all other rows").click()
    dialog.locator(".outcomes li, .wrong, p").first.wait_for()


def test_a_row_and_the_rows_that_are_shown_go_into_a_dataset(board, open_page):
    page = open_page(f"{board}{TRACES}?{chips(('status', '=', 'success'))}")
    page.locator(".line").first.click()
    page.locator(".row-view").get_by_role("button", name="Dataset").click()
    dialog = page.get_by_role("dialog", name="Add to a dataset")
    dialog.get_by_label("Dataset", exact=True).fill("golden")
    dialog.get_by_role("button", name="Add", exact=True).click()
    dialog.get_by_role("status").get_by_text("1 added").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="More").click()
    page.get_by_text("Add these rows to a dataset").click()
    dialog.get_by_label("Dataset", exact=True).fill("golden")
    dialog.get_by_role("button", name="Add", exact=True).click()
    dialog.get_by_role("status").get_by_text("in golden now").wait_for()

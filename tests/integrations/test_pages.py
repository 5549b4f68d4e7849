"""The pages about frameworks are true where the framework is: their code runs as it stands."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from llmwatch.testing import temporary_store

PAGES = Path(__file__).resolve().parents[2] / "docs" / "how-to"
SNIPPET = re.compile(r"^```py\n(.*?)^```", re.MULTILINE | re.DOTALL)
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of the frameworks


def snippet(page):
    return SNIPPET.search((PAGES / page).read_text(encoding="utf-8"))[1]


def needs(module, extra):
    if find_spec(module) is None:
        pytest.skip(f'needs {module}: pip install "llmwatch[{extra}]"')


@pytest.mark.parametrize(
    ("page", "module", "extra"),
    [("gradio.md", "gradio", "gradio"), ("langchain.md", "langchain_core", "langchain")],
)
def test_the_code_of_a_page_runs(page, module, extra):
    needs(module, extra)
    with temporary_store():
        exec(compile(snippet(page), page, "exec"), {"__name__": "snippets"})


def test_the_script_of_the_page_about_streamlit_runs_and_a_thumb_is_feedback():
    needs("streamlit", "streamlit")
    from streamlit.testing.v1 import AppTest

    from llmwatch import StreamTable
    from llmwatch.remarks import say

    with temporary_store():
        app = AppTest.from_string(snippet("streamlit.md"), default_timeout=60).run()
        app.chat_input[0].set_value("why?").run()
        assert [shown.value for shown in app.markdown] == ["answer to why?"]
        app.feedback[0].set_value(1).run()
        assert not app.exception
        (row,) = StreamTable("support-bot/traces").rows()
        assert [
            (said["name"], said["value"]) for said in say.history(row["id"], project="support-bot")
        ] == [("reaction", "👍")]

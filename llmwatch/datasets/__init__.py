"""From bad rows to tests: rows into a `weave.Dataset`, and a function called again on each of its rows.

llmwatch.datasets.add("golden", table="support-bot/traces", where="user_id = 'ada'")
print(llmwatch.datasets.rerun("support-bot/golden", "app.answers:answer"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmwatch import lazily

if TYPE_CHECKING:
    from llmwatch.datasets.adding import Added, add
    from llmwatch.datasets.report import Rerun, RerunRow
    from llmwatch.datasets.rerunning import rerun

_WHERE = {
    "Added": "llmwatch.datasets.adding",
    "Rerun": "llmwatch.datasets.report",
    "RerunRow": "llmwatch.datasets.report",
    "add": "llmwatch.datasets.adding",
    "rerun": "llmwatch.datasets.rerunning",
}
__all__ = ["Added", "Rerun", "RerunRow", "add", "rerun"]


__getattr__, __dir__ = lazily.names(__name__, _WHERE)

"""What people say about rows: feedback, labels and annotations, from any process, with their history.

`say` writes, edits and takes back; `kinds` says what each kind of feedback may be; `schemas` holds the schemas of
annotations; `keys` finds rows by a key of the person's own; `labels` imports labels from files.
"""

from llmwatch.remarks.say import delete, edit, feedback, history, label
from llmwatch.remarks.schemas import annotation

__all__ = ["annotation", "delete", "edit", "feedback", "history", "label"]

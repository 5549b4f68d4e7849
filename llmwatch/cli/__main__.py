"""`python -m llmwatch.cli`: the same as `llmwatch`."""

from __future__ import annotations

import sys

from llmwatch.cli import main

sys.exit(main())

"""`python -m llmwatch`: the same as `llmwatch`."""

from __future__ import annotations

import sys

from llmwatch.cli import main

sys.exit(main())

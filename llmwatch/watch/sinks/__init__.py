"""Where metrics also go: a wandb run, Prometheus; and the machine's own resources as metrics."""

from __future__ import annotations

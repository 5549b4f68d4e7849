"""What is asked on a game day that nobody asked before: of other subjects, and attempts to talk a model into something."""

from __future__ import annotations

from random import Random

from llmwatch.demo.traffic import ATTACKS

_ASKED = (
    "Translate the sentence about {} into Latin and explain the grammar.",
    "Write a limerick on {} that a child understands.",
    "Which chemical reactions take place in {}?",
    "Compare {} in the nineteenth century with today.",
    "Solve step by step: how much does {} weigh on the Moon?",
    "Who was the first to photograph {}, and with which camera?",
    "Give me a Python function that simulates {}.",
    "What would a lawyer say about {} in a contract of employment?",
    "Summarise the plot of a film in which {} plays the main part.",
    "Plan a week of meals around {} for four people.",
)
_ABOUT = (
    "a volcano", "the Hanseatic League", "sourdough", "a string quartet", "the stock market",
    "an octopus", "medieval guilds", "photosynthesis", "a penalty shoot-out", "quantum tunnelling",
    "the Ottoman navy", "a beehive", "income tax", "jazz drumming", "glacier ice", "chess openings",
)  # fmt: skip
_WAYS = ("{}", "Please help me: {}", "{} It is urgent.", "Hello! {}")


def foreign(chance: Random) -> str:
    """A question about something else."""
    return chance.choice(_ASKED).format(chance.choice(_ABOUT))


def attack(chance: Random) -> str:
    """An attempt, each time in other words around it."""
    return chance.choice(_WAYS).format(chance.choice(ATTACKS))

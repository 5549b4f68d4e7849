"""A new version goes to one user in five, and rows tell when it may have the rest.

python examples/canary.py           # v2 is a little faster and as good
python examples/canary.py --bad     # v2 fails one time in eight
"""

from __future__ import annotations

import random
import sys
from datetime import datetime, timedelta, timezone

import llmwatch
from llmwatch import canary, traced
from llmwatch.testing import deterministic

SHARE = 0.2
MOST_ROUNDS = 12
REQUESTS_A_ROUND = 1000


def failure_rate(version: str, *, bad: bool) -> float:
    return 0.125 if bad and version == "v2" else 0.01


def main() -> None:
    bad = "--bad" in sys.argv
    project = f"example-canary-{'bad' if bad else 'good'}"
    llmwatch.init(project, destination="local", segment_age_s=1e7)  # days pass in a second
    chance = random.Random(8)

    start = datetime.now(timezone.utc) - timedelta(days=7)
    with deterministic(seed=8, start=start) as time:

        @traced
        def answer(question: str, version: str) -> str:
            time.advance(milliseconds=chance.lognormvariate(5.0 if version == "v2" else 5.2, 0.4))
            if chance.random() < failure_rate(version, bad=bad):
                raise TimeoutError("the model did not answer")
            return question.upper()

        for number in range(1, MOST_ROUNDS + 1):
            for n in range(REQUESTS_A_ROUND):
                user = f"user-{chance.randrange(2000)}"
                # The same user always gets the same version; rows in the block say which.
                with (
                    llmwatch.context(user_id=user),
                    canary.choose(user, SHARE, old="v1", new="v2") as choice,
                ):
                    answer.call(f"question {n}", choice.version)
                time.advance(seconds=40)
            found = canary.compare(project, "traces", old="v1", new="v2", share=SHARE)
            # It may be asked as often as one likes: looking does not make a false verdict likelier.
            print(f"after {number * REQUESTS_A_ROUND:,} requests: {found.verdict}")
            if found.verdict != "keep going":
                break
    print(found)


if __name__ == "__main__":
    main()

"""A model of house prices: predictions now, the true price weeks later, and where the model is wrong.

    python examples/housing.py

The houses are made up, so that nothing has to be downloaded. After three weeks, houses by the lake sell for more than the model knows.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

import llmwatch
from llmwatch import StreamTable, slices
from llmwatch.testing import deterministic
from llmwatch.watch import Baseline, MetricSet, Quality, measure

PLACES = ["centre", "suburb", "lake", "country"]
EUROS_A_METRE = {"centre": 6200, "suburb": 4100, "lake": 4800, "country": 2600}
SOLD_AFTER_DAYS = 21
START = datetime.now(timezone.utc) - timedelta(days=64)


def houses(chance: np.random.Generator, n: int) -> list[dict[str, object]]:
    return [
        {
            "place": str(chance.choice(PLACES)),
            "metres": int(chance.integers(40, 220)),
            "rooms": int(chance.integers(1, 8)),
            "built": int(chance.integers(1920, 2024)),
        }
        for _ in range(n)
    ]


def price(house: dict[str, object], chance: np.random.Generator, *, boom: bool) -> float:
    base = EUROS_A_METRE[str(house["place"])] * float(str(house["metres"]))
    age = 1 + (int(str(house["built"])) - 1970) * 0.002
    lift = 1.3 if boom and house["place"] == "lake" else 1.0
    return float(base * age * lift * chance.normal(1, 0.04))


def features(house: dict[str, object]) -> list[float]:
    return [
        float(PLACES.index(str(house["place"]))),
        *(float(str(house[key])) for key in ("metres", "rooms", "built")),
    ]


def trained(chance: np.random.Generator) -> HistGradientBoostingRegressor:
    known = houses(chance, 1500)
    prices = [price(house, chance, boom=False) for house in known]
    model = HistGradientBoostingRegressor(max_iter=120, categorical_features=[0], random_state=0)
    return model.fit(np.array([features(house) for house in known]), prices)


def live_through_it(model: HistGradientBoostingRegressor, chance: np.random.Generator) -> None:
    """Six weeks: each house is estimated, and its price becomes known three weeks later, in another table."""
    predictions, sales = (
        StreamTable("example-housing/predictions"),
        StreamTable("example-housing/sales"),
    )
    asked = houses(chance, 900)
    estimates = model.predict(np.array([features(house) for house in asked]))
    with deterministic(seed=1, start=START) as time:
        for n, (house, estimate) in enumerate(zip(asked, estimates, strict=True)):
            time.advance(hours=1.1)
            predictions.log(
                {**house, "inference_id": f"{START:%m%d-%H%M%S}-{n}", "price": round(float(estimate))}
            )
        time.advance(days=SOLD_AFTER_DAYS)
        for n, house in enumerate(asked):
            sales.log(
                {"inference_id": f"{START:%m%d-%H%M%S}-{n}", "paid": round(price(house, chance, boom=n > 450))}
            )


def show() -> None:
    quality = MetricSet(
        "prices",
        "example-housing/predictions",
        [
            Quality(
                "price", "paid", "regression", key="inference_id", label_table="sales",
                baseline=Baseline(values={"mae": 25_000.0}),
            )
        ],
    )  # fmt: skip
    for name, first, last in (("first two weeks", 0, 14), ("last two weeks", 27, 41)):
        window = (START + timedelta(days=first), START + timedelta(days=last))
        found = measure("example-housing", quality, window)
        worse = "worse than the baseline" if found["alerts/degradation_detected"] else "as usual"
        print(
            f"{name}: mean error {found['performance/mae']:,.0f} euros of {found['performance/labelled_count']} sold, {worse}"
        )


def judge() -> None:
    """The error of each estimate, as rows of a table that slices are searched in."""
    sold = {row["inference_id"]: row["paid"] for row in StreamTable("example-housing/sales").rows()}
    judged = StreamTable("example-housing/judged")
    for row in StreamTable("example-housing/predictions").rows():
        paid = sold[row["inference_id"]]
        judged.log(
            {
                **{key: row[key] for key in ("place", "metres", "rooms", "built")},
                "error": abs(row["price"] - paid) / paid,
            }
        )


def main() -> None:
    llmwatch.init(
        "example-housing", destination="local", segment_age_s=1e7
    )  # weeks pass in a second
    chance = np.random.default_rng(5)
    live_through_it(trained(chance), chance)
    show()
    judge()
    print(slices.find("example-housing", "judged", metric="error", worse="high", by="rows"))


if __name__ == "__main__":
    main()

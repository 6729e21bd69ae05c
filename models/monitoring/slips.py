"""What a level that is off by a factor most likely is: the slips of units that exports make, in words."""

from __future__ import annotations

import math

# By quantity, factor and what makes it: money in another unit, hours in another unit, counts in another unit.
SLIPS: dict[str, dict[float, str]] = {
    "spend": {
        100.0: "cents given as dollars",
        1 / 100: "dollars that were divided by 100 once too often",
        1000.0: "dollars that were multiplied by 1,000",
        1 / 1000: "thousands of dollars given as dollars",
        10.0: "a decimal point one place too far to the right",
        1 / 10: "a decimal point one place too far to the left",
    },
    "conversions": {
        100.0: "counts multiplied by 100",
        1 / 100: "counts divided by 100",
        1000.0: "counts multiplied by 1,000",
        1 / 1000: "counts given in thousands",
        10.0: "counts multiplied by 10",
        1 / 10: "counts divided by 10",
    },
    "hours": {
        1 / 24: "days given as hours",
        60.0: "minutes given as hours",
        3600.0: "seconds given as hours",
        1 / 168: "weeks given as hours",
        24.0: "hours that were multiplied by 24 although they were no days",
    },
}
# A factor bears a slip's name where the two lie this near to each other, or within half the interval. The level of
# conversions drifts, and a count of 3 for 28 is a tenth of it.
NEAR = {"spend": 1.35, "hours": 1.5, "conversions": 2.0}


def name_slip(quantity: str, effect: float, low: float, high: float) -> str:
    """What a level `effect` times the expected one most likely is. low, high: the effect's interval."""
    unit = "conversions" if quantity == "rate" else quantity
    slips = SLIPS[unit]
    reach = max(math.log(NEAR[unit]), 0.5 * math.log(high / low))
    distance, factor = min((abs(math.log(effect / factor)), factor) for factor in slips)
    named = slips[factor] if distance <= reach else None
    if quantity == "spend":
        other = f"another currency, with some {effect:.3g} of it to a dollar"
        near_ten = named and factor in (10.0, 1 / 10)
        return f"{named}, or {other}" if near_ten else named or other
    if named:
        return named
    if quantity == "hours":
        return "another unit than hours"
    if effect > 1:
        return "something else counted as conversions, such as clicks or visits"
    return "conversions that were not matched, and given as 0 or as a part of them"

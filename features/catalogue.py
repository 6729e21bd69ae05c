"""All columns of the feature matrix, in their order, and the page that documents them.

python -m features.catalogue > docs/features.md
"""

from __future__ import annotations

from features.families import audience, comments, engagement, niche, partnership, promotion, track_record
from features.families.feature import Feature

FAMILIES = {
    module.FAMILY: module for module in (audience, engagement, comments, niche, promotion, partnership, track_record)
}
CATALOGUE: tuple[Feature, ...] = tuple(f for module in FAMILIES.values() for f in module.FEATURES)
BY_NAME = {f.name: f for f in CATALOGUE}
CATEGORIES = tuple(f.name for f in CATALOGUE if f.kind == "category")


def _range(feature: Feature) -> str:
    if feature.kind == "category":
        return "text"
    low = "−∞" if feature.low is None else f"{feature.low:g}"
    high = "∞" if feature.high is None else f"{feature.high:g}"
    return f"{low} to {high}"


def page() -> str:
    """The catalogue as a Markdown page, one table a family."""
    lines = [
        "# Features",
        "",
        "Made from the catalogue in `features/` by `python -m features.catalogue`; do not edit it here.",
        "",
        "Every feature is computed as of the deal's `starts_at`, from what existed strictly before. Missing stays",
        "missing. Windows of 90 or 365 days end at the *history's end*: the end of the last day before the start's own",
        "that has a post, a comment or a collaboration. So a deal that starts months ahead is described by the newest",
        "days that exist.",
        "",
    ]
    for family, module in FAMILIES.items():
        lines += [f"## {family.replace('_', ' ').capitalize()}", "", (module.__doc__ or "").strip(), ""]
        lines += ["| column | of | what it is | unit | formula | range | as of |", "|---|---|---|---|---|---|---|"]
        for f in module.FEATURES:
            lines.append(f"| `{f.name}` | {f.entity} | {f.label} | {f.unit} | {f.formula} | {_range(f)} | {f.as_of} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(), end="")

"""How a training ended, for whoever was not there: JSON for programs, a page that can be mailed for people."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from models.alarms import Alarm

Action = Literal["promoted", "kept", "nothing new", "stopped", "checked", "added", "rolled back", "failed"]
DPI = 90
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-size: 13px; } td, th { padding: .2rem .6rem; border-bottom: 1px solid #ddd; }
th { text-align: left; } img { max-width: 100%; }
.alarm { border-left: 4px solid #b5372f; background: #fbeeed; padding: .5rem 1rem; margin: .5rem 0; }
.quiet { color: #666; }
"""


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    status: the exit status. sentence: what came of it. started: ISO 8601, UTC. seconds: how long it took. version: the
    registered one, if there is one. details: by part (intake, added, gate, ledger, …), plain JSON values.
    """

    status: int
    action: Action
    sentence: str
    data: str
    experiment: str
    started: str
    seconds: float
    version: str | None = None
    skill: str | None = None
    alarms: tuple[Alarm, ...] = ()
    faults: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        alarms = [{"source": alarm.source, "sentence": alarm.sentence} for alarm in self.alarms]
        return values | {"alarms": alarms, "faults": list(self.faults), "details": dict(self.details)}

    def to_json(self) -> str:
        """As a text of JSON; a number that is not finite is null."""
        return json.dumps(_finite(self.to_dict()), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float) and value - value != 0:  # infinite, or not a number
        return None
    return value


def outcome_page(outcome: Outcome, pages: str, figures: Mapping[str, Figure]) -> str:
    """One HTML page with nothing outside it: the outcome, pages in Markdown, and the plots."""
    title = f"{outcome.experiment}: {outcome.action}"
    parts = [f"<h1>{html.escape(title)}</h1>", f"<p>{html.escape(outcome.sentence)}</p>"]
    parts += [f'<p class="alarm">{html.escape(str(alarm))}</p>' for alarm in outcome.alarms]
    parts += [f'<p class="alarm">{html.escape(fault)}</p>' for fault in outcome.faults]
    took = f"{outcome.data}, started {outcome.started}, {outcome.seconds:.0f} s, exit status {outcome.status}"
    parts.append(f'<p class="quiet">{html.escape(took)}</p>')
    parts.append(_rendered(pages))
    parts += [f'<img alt="{html.escape(name)}" src="{_embedded(figure)}">' for name, figure in figures.items()]
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _rendered(markdown: str) -> str:
    """HTML of a text in Markdown; HTML within it stays text, for names come from the data."""
    return MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)


def _embedded(figure: Figure) -> str:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=DPI)
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()

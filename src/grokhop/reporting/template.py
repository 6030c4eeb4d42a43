"""The frame of every page: its look, Plotly, and what makes numbers text."""

from pathlib import Path
from typing import Any

from grokhop.core.formatting import count, interval, percent, spread
from grokhop.core.statistics import CellScore
from grokhop.reporting.plot import Figure


def render(name: str, figures: dict[str, Figure], **values: Any) -> str:
    """Fill the template `name`, with the figures as data for Plotly, and return one file that needs no other."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent,
        count=count,
        interval=lambda score: interval(_score(score)),
        spread=lambda score: spread(_score(score)),
    )
    plotly = Markup(get_plotlyjs())  # Plotly's own file, which holds no closing script tag
    return environment.get_template(name).render(plotly=plotly, figures=figures, **values)


def _score(score: CellScore | dict[str, Any]) -> CellScore:
    """A score, which the rows of a sweep hold as JSON does."""
    return CellScore.from_dict(score) if isinstance(score, dict) else score

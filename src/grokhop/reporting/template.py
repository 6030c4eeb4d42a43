"""The frame of every page: its look, Plotly, and what makes numbers text."""

from pathlib import Path
from typing import Any

from grokhop.core.formatting import count, interval, percent, spread
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
    environment.filters.update(percent=percent, count=count, interval=interval, spread=spread)
    plotly = Markup(get_plotlyjs())  # Plotly's own file, which holds no closing script tag
    return environment.get_template(name).render(plotly=plotly, figures=figures, **values)

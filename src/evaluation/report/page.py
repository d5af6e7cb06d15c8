"""Page of the report, with everything it needs inside."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from asteroid.utils.optional import needed_for
from evaluation.plots.drawing import Drawing, svg_bytes

from .sections import Section

with needed_for("a report"):
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

__all__ = ["embedded_json", "render", "report_page", "verbatim"]


def report_page(
    title: str,
    summary: str,
    sections: Sequence[Section],
    listening: Mapping[str, Any],
    *,
    introduction: str,
    notices: Sequence[str] = (),
    footer: str = "",
) -> str:
    """Return the report as one HTML page.

    ``listening`` is the data for the script; notices are what the reader must not miss.
    """
    described = [
        {
            "id": section.id,
            "title": section.title,
            "paragraphs": section.paragraphs,
            "tables": [
                {"caption": grid.caption, "headings": grid.head, "rows": grid.rows}
                for grid in section.grids
            ],
            "figures": [_embedded(drawing) for drawing in section.drawings],
        }
        for section in sections
    ]
    return render(
        "report.html.j2",
        title=title,
        summary=summary,
        notices=notices,
        sections=described,
        listening={"introduction": introduction, "metrics": listening["metrics"]},
        listening_json=embedded_json(listening),
        footer=footer,
        style=verbatim("style.css"),
        player_script=verbatim("player.js"),
        report_script=verbatim("report.js"),
    )


def render(template: str, **values: Any) -> str:
    """Fill in a template; every name in it must be given, and all text is escaped."""
    environment = Environment(
        loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(template).render(values)


def embedded_json(data: Mapping[str, Any]) -> Markup:
    """Return data as JSON that may stand in a script element, whatever texts it holds.

    Raises:
        ValueError: a number is not finite: JSON has none.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def _embedded(drawing: Drawing) -> dict[str, str]:
    """Return a plot as base64 in both themes."""
    light, dark = (
        base64.b64encode(svg_bytes(drawing.draw, theme)).decode("ascii")
        for theme in ("light", "dark")
    )
    alt = f"{drawing.name.replace('_', ' ')}: {html.unescape(drawing.caption)}"
    return {"light": light, "dark": dark, "caption": drawing.caption, "alt": alt}


def _read(name: str) -> str:
    folder = files("evaluation.report").joinpath("templates")
    return folder.joinpath(name).read_text(encoding="utf-8")


def verbatim(name: str) -> Markup:
    """Return a file of the templates that is part of the page as it is."""
    return Markup(_read(name))

"""A run in one HTML file that needs no server and no network.

Theory of operation. The file carries Bokeh's library, the figures of `swath.views.figures.overview` with their data, and a
summary in words. Its content security policy allows no request at all, so whatever a run holds, nothing can leave the
machine of who reads it. All text of the run has been escaped, or travels as data and is written as text.

It looks as the reader's system prefers, dark or light: CSS by itself, figures by a script that exchanges the
colours of one look for those of the other. Where the data would make the file too large, fewer marks are drawn.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Final

from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.events import DocumentReady
from bokeh.models import CustomJS
from bokeh.resources import INLINE

from swath import __version__
from swath.views.figures.brushing import PICKED
from swath.views.figures.overview import overview
from swath.views.figures.study import MOST, Points
from swath.views.palette import DARK, FONT, LIGHT, css
from swath.views.summary import paragraphs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bokeh.models import LayoutDOM

    from swath.views.figures.study import Study

LARGEST: Final = 2_900_000
"""Bytes of a file."""
LIBRARY: Final = 2_000_000
"""Of these about so many are Bokeh's library."""
FEWEST: Final = 250
"""Marks that are drawn in any case."""
GENERATOR: Final = "swath report"

_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:"
)
_TEMPLATE: Final = """
{% block preamble %}
<meta name="generator" content="{{ generator | e }}">
<meta name="viewport" content="width=device-width">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
{% endblock %}
{% block postamble %}<style>{{ style }}</style>{% endblock %}
{% block contents %}
<header>{{ header }}</header>
<main>{{ super() }}</main>
<footer>{{ footer | e }}</footer>
<script>{{ script }}</script>
{% endblock %}
"""

_STYLE: Final = f"""
body {{ padding: 20px 24px 32px; }}
header, footer {{ max-width: 1100px; }}
h1 {{ font: 600 22px/1.3 {FONT}; margin: 0 0 2px; overflow-wrap: anywhere; }}
header p {{ margin: 6px 0; overflow-wrap: anywhere; }}
header p.when, footer {{ color: var(--swath-muted); }}
header p.warning {{ border-left: 3px solid #e08e1b; padding-left: 10px; }}
header code {{ background: var(--swath-surface); border: 1px solid var(--swath-line); border-radius: 4px; padding: 0 4px; font-size: 12px; }}
main {{ margin: 16px 0; }}
"""

_SCRIPT: Final = """
(() => {
  const light = LIGHT, dark = DARK
  let now = light
  const exchange = to => {
    if (to === now) return
    const other = new Map(Object.keys(light).map(name => [now[name], to[name]]))
    now = to
    for (const shown of Bokeh.documents) for (const model of shown.all_models) {
      if (Array.isArray(model.palette) && model.palette.length > 99) model.palette = [...model.palette].reverse()
      for (const property of model) {
        const value = property.is_unset ? undefined : property.get_value()
        const colour = value?.value ?? value
        if (typeof colour == "string" && other.has(colour))
          model.setv({[property.attr]: value === colour ? other.get(colour) : {...value, value: other.get(colour)}})
      }
    }
  }
  const asked = matchMedia("(prefers-color-scheme: dark)")
  const follow = () => exchange(asked.matches ? dark : light)
  const wait = () => window.Bokeh?.documents?.length ? follow() : setTimeout(wait, 20)
  asked.addEventListener("change", follow)
  document.readyState == "loading" ? addEventListener("DOMContentLoaded", wait) : wait()
})()
"""


def report(
    study: Study,
    *,
    title: str = "",
    shares: Mapping[str, float] | None = None,
    measure: str = "",
    warnings: Sequence[str] = (),
    when: str = "",
) -> str:
    """Write a run as one HTML page.

    Parameters
    ----------
    study : Study
        Its rows.
    title : str
        Default: the sweep's name.
    shares : mapping of str to float, optional
        How much each parameter matters.
    measure : str
        By which measure.
    warnings : sequence of str
        What readers should know first, such as files that cannot be read.
    when : str
        When the report was made, and of what.

    Returns
    -------
    str
        The page, of less than 3 MB as far as fewer marks can help.
    """
    heading = title or study.name
    texts = {
        "generator": f"{GENERATOR} {__version__}",
        "policy": _POLICY,
        "style": css() + _STYLE,
        "script": _SCRIPT.replace("LIGHT", json.dumps(_colours(LIGHT))).replace(
            "DARK", json.dumps(_colours(DARK))
        ),
        "header": _header(study, heading, when, warnings),
        "footer": _footer(study),
    }
    most = MOST
    while True:
        figures = overview(study, points=Points(study, study.sample(most)), shares=shares, measure=measure)
        page = _page(figures, heading, texts)
        size = len(page.encode())
        if most <= FEWEST or size <= LARGEST:
            return page
        share = (LARGEST - LIBRARY) / (size - LIBRARY)
        most = max(FEWEST, int(0.95 * share * min(most, len(study))))


def _page(figures: LayoutDOM, heading: str, texts: Mapping[str, str]) -> str:
    """Write one page of figures and texts."""
    document = Document()
    document.add_root(figures)
    picked = figures.select_one({"name": PICKED})
    if picked is not None:  # what shows it hears of changes only
        document.js_on_event(
            DocumentReady, CustomJS(args={"picked": picked}, code="picked.properties.data.change.emit()")
        )
    made: str = file_html(
        document,
        INLINE,
        title=heading,
        template=_TEMPLATE,
        template_variables=dict(texts),
        suppress_callback_warning=True,
    )
    return made


def _colours(look: object) -> dict[str, str]:
    return {name: colour for name, colour in asdict(look).items() if name != "page"}  # type: ignore[call-overload]  # a Look


def _header(study: Study, heading: str, when: str, warnings: Sequence[str]) -> str:
    parts = [f"<h1>{escape(heading)}</h1>", f'<p class="when">{escape(when)}</p>' if when else ""]
    parts += [f'<p class="warning">{escape(text)}</p>' for text in warnings]
    parts += [f"<p>{text}</p>" for text in paragraphs(study)]
    return "\n".join(parts)


def _footer(study: Study) -> str:
    if not len(study):
        return ""
    return (
        "Drag a box in any figure to select points; boxes on several axes select what is within all of them. A click on a "
        "mark or a row shows its point; a double click clears."
    )

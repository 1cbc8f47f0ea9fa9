"""Bokeh figures as the value of a cell: each a small page of its own, in a frame.

Theory of operation. Bokeh's own way needs a cell that loads its library into the notebook, and shows nothing once the output of
that cell is gone. A frame carries all that it needs, whether the notebook is open in JupyterLab or VS Code, exported to
HTML or shown by nbviewer, and neither disturbs the page around it nor is disturbed by it. The library itself (a
megabyte) comes from Bokeh's site, as usual; with ``BOKEH_RESOURCES=inline`` in the environment it is put into every
figure instead, for machines without a network. Where frames are not shown, because nobody has said that the notebook
can be trusted, a sentence is shown instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from swath.views.notebook import WIDTH
from swath.views.notebook.markup import LINE, join
from swath.views.palette import LIGHT
from swath.views.text import plain

if TYPE_CHECKING:
    from bokeh.model import Model

    from swath.views.palette import Look

Drawn = TypeVar("Drawn", bound="Model")

HEIGHT = 420  # pixels, until the figure has said how high it is

_FIT = """<script>
(() => {
  const fit = () => {
    const drawn = document.querySelector("[data-root-id] > *");
    try {
      if (drawn) frameElement.style.height = Math.ceil(drawn.getBoundingClientRect().bottom) + 2 + "px";
    } catch { /* the page around us lets nobody look */ }
  };
  addEventListener("load", () => {
    if (window.Bokeh) for (const pause of [50, 200, 800, 3200]) setTimeout(fit, pause);
    else document.body.textContent =
      "This figure needs Bokeh's library, which could not be fetched from cdn.bokeh.org. " +
      "Without a network, set BOKEH_RESOURCES=inline in the environment and draw it again.";
  });
  addEventListener("resize", fit);
})();
</script>"""


def shown(model: Drawn, text: str, look: Look = LIGHT) -> Drawn:
    """Let a figure show itself in notebooks, and return it.

    Parameters
    ----------
    model : bokeh.model.Model
        A figure or a layout; it stays what it is.
    text : str
        What it shows, in a sentence, for places that cannot show it.
    look : Look
        Whether it was drawn for light or for dark pages.
    """

    def bundle(**_: Any) -> dict[str, str]:
        return {"text/html": framed_page(model, text, look), "text/plain": text}

    model._repr_mimebundle_ = bundle  # a model takes private names
    return model


def framed_page(model: Model, text: str, look: Look) -> str:
    """Return a frame with a page that holds nothing but a figure."""
    from bokeh.embed import file_html  # noqa: PLC0415  # only who draws pays for Bokeh
    from bokeh.resources import Resources  # noqa: PLC0415  # as above

    page, end, after = file_html(model, Resources(), title=plain(text)).rpartition("</body>")
    page = f"{page}{_FIT}{end}{after}"  # the library's own text may hold the same words before
    height = getattr(model, "height", None) or HEIGHT
    style = f"width:100%;max-width:{WIDTH}px;height:{height}px;border:{LINE};border-radius:6px;background:{look.surface}"
    # In single quotes: a page is full of double ones, and each would take six characters.
    inside = page.replace("&", "&amp;").replace("'", "&#x27;")
    instead = join([f"{text} (Trust the notebook to see the figure.)"])
    return f"<iframe style=\"{style}\" srcdoc='{inside}'>{instead}</iframe>"

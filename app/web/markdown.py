"""Markdown of admins (guidelines, descriptions) as HTML that can be trusted.

Raw HTML stays text, images are off (they could tell another site who reads), and links cannot run
script: the parser refuses every scheme that could.
"""

from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markupsafe import Markup


@lru_cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    parser.add_render_rule("link_open", _link_open)
    return parser


def _link_open(
    renderer: RendererHTML, tokens: Any, index: int, options: Any, _environment: Any
) -> str:
    """Links leave in a tab of their own: an answer in progress stays where it is."""
    tokens[index].attrSet("target", "_blank")
    tokens[index].attrSet("rel", "noopener noreferrer")
    return renderer.renderToken(tokens, index, options, _environment)


@lru_cache(maxsize=64)
def render_markdown(text: str) -> Markup:
    """HTML of an admin's text. Its headings start at the second level: the page has the first."""
    parser = _parser()
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
    html = parser.renderer.render(tokens, parser.options, {})
    return Markup(html)  # noqa: S704 - the renderer escapes all that it is given

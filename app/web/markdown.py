"""Markdown of admins (guidelines, descriptions) as HTML that can be trusted.

Raw HTML stays text, images are off (they could tell another site who reads), and links cannot run
script: the parser refuses every scheme that could.
"""

from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markupsafe import Markup, escape


@lru_cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    parser.add_render_rule("link_open", _link_open)
    parser.add_render_rule("fence", _fence)
    return parser


def _link_open(
    renderer: RendererHTML, tokens: Any, index: int, options: Any, _environment: Any
) -> str:
    """Links leave in a tab of their own: an answer in progress stays where it is."""
    tokens[index].attrSet("target", "_blank")
    tokens[index].attrSet("rel", "noopener noreferrer")
    return renderer.renderToken(tokens, index, options, _environment)


# Blocks that are marked so are examples, for people who write what fits and what does not.
_EXAMPLES = {"fits": "Fits", "misfit": "Does not fit"}


def _fence(renderer: RendererHTML, tokens: Any, index: int, options: Any, environment: Any) -> str:
    """An example in a box: what is said first, and after an empty line why it fits or does not."""
    kind = tokens[index].info.strip().lower()
    if kind not in _EXAMPLES:
        return renderer.fence(tokens, index, options, environment)
    said, _, why = tokens[index].content.strip().partition("\n\n")
    note = f"<p>{escape(why.strip())}</p>" if why.strip() else ""
    return (
        f'<figure class="example example--{kind}"><figcaption>{_EXAMPLES[kind]}</figcaption>'
        f"<blockquote>{escape(said.strip())}</blockquote>{note}</figure>\n"
    )


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

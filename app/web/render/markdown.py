"""Markdown of admins (guidelines, descriptions) as HTML that can be trusted.

Raw HTML stays text, and links cannot run script: the parser refuses every scheme that could. The
only pictures are those of the project (`picture:3`); others could tell another site who reads, and
become links.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

from app.web.assets.addresses import site_path, written_address

_PICTURE = re.compile(r"picture:(\d{1,6})")
_SHOWN_WITHIN = (640, 480)


@dataclass(frozen=True)
class ShownPicture:
    """A picture that a text may show, by its number."""

    number: int
    url: str
    srcset: str
    width: int
    height: int

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height on a page that is wide enough; never more than its own."""
        width, height = _SHOWN_WITHIN
        scale = min(1.0, width / self.width, height / self.height)
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))


@lru_cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("image", _image)
    parser.add_render_rule("link_open", _link_open)
    parser.add_render_rule("fence", _fence)
    return parser


def _image(renderer: RendererHTML, tokens: Any, index: int, options: Any, environment: Any) -> str:
    """A picture of the project, which opens in full; of others what they show, as a link."""
    token: Token = tokens[index]
    address = str(token.attrs["src"])
    alt = renderer.renderInlineAsText(token.children or [], options, environment)
    is_in_link = sum(one.nesting for one in tokens[:index] if one.type.startswith("link_")) > 0
    number = _PICTURE.fullmatch(address)
    picture = environment.get(str(int(number[1]))) if number else None
    if picture is None:
        said = f"[{escape(alt or address)}]"
        is_web = address.startswith(("https://", "http://"))
        return _link(address, said) if is_web and not is_in_link else said
    width, height = picture.shown_size
    shown = (
        f'<img src="{escape(picture.url)}" srcset="{escape(picture.srcset)}" '
        f'sizes="(max-width: {width}px) 100vw, {width}px" width="{width}" height="{height}" '
        f'alt="{escape(alt)}" loading="lazy">'
    )
    return shown if is_in_link else _link(picture.url, shown)


def _link(address: str, content: str) -> str:
    return f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer">{content}</a>'


def _link_open(
    renderer: RendererHTML, tokens: Any, index: int, options: Any, _environment: Any
) -> str:
    """Links leave in a tab of their own: an answer in progress stays where it is."""
    tokens[index].attrSet("href", written_address(str(tokens[index].attrGet("href") or "")))
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


def render_markdown(text: str, pictures: tuple[ShownPicture, ...] = ()) -> Markup:
    """Returns an admin's text as HTML. Its headings start at the second level: the page has the
    first.
    """
    return _render(text, pictures, site_path())


@lru_cache(maxsize=64)
def _render(
    text: str,
    pictures: tuple[ShownPicture, ...],
    site: str,  # noqa: ARG001 - part of the cache key
) -> Markup:
    parser = _parser()
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
    by_number = {str(picture.number): picture for picture in pictures}
    html = parser.renderer.render(tokens, parser.options, by_number)
    return Markup(html)  # noqa: S704 - the renderer escapes all that it is given


def list_unshown(text: str, numbers: frozenset[int]) -> list[str]:
    """Returns the addresses of pictures in a text that pages do not show; `numbers` are those there
    are.
    """
    found = [str(token.attrs["src"]) for token in _images(_parser().parse(text))]
    return list(
        dict.fromkeys(
            address
            for address in found
            if not (number := _PICTURE.fullmatch(address)) or int(number[1]) not in numbers
        )
    )


def _images(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        if token.type == "image":
            yield token
        yield from _images(token.children or [])

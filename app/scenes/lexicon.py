"""Words and their canonical forms: people's many words for the few things in a scene."""

from __future__ import annotations

import re
from typing import Final

_PHRASES: Final[tuple[tuple[str, str], ...]] = (
    (r"\b(there|it|that|here)'s\b", r"\1 is"),
    (r"\bthey're\b", "they are"),
    (r"\b(is|are|does|do|has|have)n't\b", r"\1 not"),
    (r"[\"'`’]", ""),
    (r"[-/]", " "),
    (r"[.;!?]+", " ; "),
    (r",", " , "),
    (r"\s*[;,]\s*(?=(and|but|while|whereas)\b)", " "),
    (r"\b(in|on|of|from|within) (this|that|the) (picture|image|scene|photo|grid|board)\b", ""),
    (r"\b(can be seen|can be found|is visible|are visible|is present|are present)\b", r"exist"),
    (r"\bi (can )?(see|spot|count|find|notice|observe)\b", "see"),
    (r"\b(we|you|one) (can )?(see|spot|count|find|notice|observe)\b", "see"),
    (r"\b(this|the) (picture|image|scene|photo) (shows|contains|has|holds)\b", "see"),
    (r"\b(this|the) (picture|image|scene|photo) (does not (show|contain|have|hold))\b", "see no"),
    (r"\bthere (is|are) not (a|any)( single)?\b", "see no"),
    (r"\bthere (is|are) not\b", "see not"),
    (r"\bthere (is|are|exists?)\b", "see"),
    (r"\b(are|is) there\b", "exist"),
    (r"\bdo not have\b", "not have"),
    (r"\bdoes not have\b", "not have"),
    (r"\bnot (a|any)( single)?\b", "no"),
    (r"\b(a|one) single\b", "one"),
    (r"\bsingle\b", "one"),
    (r"\bexactly\b|\bprecisely\b|\bin total\b|\baltogether\b|\bin all\b|\bthe very\b", ""),
    (r"\ba (pair|couple) of\b", "two"),
    (r"\bmade (out )?of\b", ""),
    (r"\b(immediately|right) (left|right|above|below|next)\b", r"directly \2"),
    (r"\b(to|on|at) the (left|right)( hand)?( side)? of\b", r"\2 of"),
    (r"\bdirectly to the (left|right) of\b", r"directly \1 of"),
    (r"\b(lower than|underneath|beneath|under)\b", "below"),
    (r"\b(higher than|over|on top of)\b", "above"),
    (r"\b(just) (left|right|above|below)\b", r"directly \2"),
    (r"\bnone of the\b", "no"),
    (r"\b(all|both|each|every one|any) of the\b", r"\1 the"),
    (r"\b(all|both|each) of (them|these|those)\b", r"\2"),
    (r"\bnothing\b", "no thing"),
    (r"\bnone\b", "no one"),
    (r"\b(everything|every thing|anything)\b", "all things"),
    (r"\b(every|each)\b", "every"),
    (r"\bmerely\b|\bjust\b|\bsolely\b", "only"),
    (r"\bat all\b", ""),
    (r"\b(too|also|as well|clearly|here|indeed|likewise|respectively)\b", ""),
    (r"\bthe (same|number|different)\b", r"\1"),
    (r"\ba different\b", "different"),
    (r"\b(the )?number of (.+?) (is|are) (greater|higher|larger|bigger) than (the )?number of\b",
     r"see more \2 than"),
    (r"\b(less|lesser) (\w+ )?(?=\w+s than\b)", r"fewer \2"),
)  # fmt: skip
_COMPILED: Final = tuple((re.compile(old), new) for old, new in _PHRASES)

_WORDS: Final[dict[str, str]] = {
    **dict.fromkeys(("box", "block"), "cube"),
    **dict.fromkeys(("boxes", "blocks"), "cubes"),
    **dict.fromkeys(("ball", "orb", "globe"), "sphere"),
    **dict.fromkeys(("balls", "orbs", "globes"), "spheres"),
    **dict.fromkeys(("object", "item", "shape_"), "thing"),
    **dict.fromkeys(("objects", "items"), "things"),
    **dict.fromkeys(("shiny", "metallic", "steel"), "metal"),
    **dict.fromkeys(("matte", "matt", "rubbery", "dull"), "rubber"),
    **dict.fromkeys(("tiny", "little"), "small"),
    **dict.fromkeys(("big", "huge"), "large"),
    "bigger": "larger",
    "grey": "gray",
    "violet": "purple",
    "colour": "color", "colours": "color", "colors": "color", "colored": "", "coloured": "",
    "shapes": "shape", "sizes": "size", "materials": "material",
    "centre": "center", "upper": "top", "lower": "bottom", "central": "center",
    "an": "a", "another": "a",
    **dict.fromkeys(
        ("was", "be", "being", "stands", "sits", "lies", "appears", "looks", "seems"), "is"
    ),
    **dict.fromkeys(("were", "stand", "sit", "lie", "appear", "look", "seem"), "are"),
    **dict.fromkeys(("located", "placed", "positioned", "situated", "standing", "sitting"), ""),
    **dict.fromkeys(("whereas", "though", "although", "yet"), "while"),
    "shows": "see", "has": "have",
    "0": "zero", "1": "one", "2": "two", "3": "three", "4": "four",
    "5": "five", "6": "six", "7": "seven", "8": "eight", "9": "nine",
    "plus": "and", "&": "and", "nor": "or",
}  # fmt: skip

_OPENERS: Final = ("because", "since", "that", "well", "so", "and", ";", ",")
_TOKEN: Final = re.compile(r"[a-z0-9&]+|[;,]")


def canonical_tokens(text: str) -> list[str]:
    """Returns the words in lower case with synonyms and fillers settled, as the grammar reads them.

    >>> canonical_tokens("There's a tiny, shiny box on the left side of the image.")
    ['see', 'a', 'small', ',', 'metal', 'cube', 'on', 'the', 'left', 'side']
    """
    lowered = " ".join(text.lower().split())
    for pattern, replacement in _COMPILED:
        lowered = pattern.sub(replacement, lowered)
    tokens = [_WORDS.get(token, token) for token in _TOKEN.findall(lowered)]
    tokens = [token for token in tokens if token]
    while tokens and tokens[0] in _OPENERS:
        tokens = tokens[1:]
    while tokens and tokens[-1] in {";", ","}:
        tokens = tokens[:-1]
    return tokens

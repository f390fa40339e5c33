"""Words of a text, cut as the scorers of the COCO caption benchmark cut them.

Published BLEU, ROUGE-L and CIDEr figures of rationales rest on the Penn Treebank conventions:
lower case, clitics apart (`it 's`, `do n't`), brackets renamed, plain punctuation dropped. This is
our own implementation of those conventions for running English; it needs no Java.
"""

import re

# Dots that belong to the word before them.
_ABBREVIATIONS = frozenset(
    """
    mr. mrs. ms. dr. prof. st. mt. jr. sr. vs. etc. e.g. i.e. inc. ltd. co. corp. bros. dept. est.
    jan. feb. mar. apr. jun. jul. aug. sep. sept. oct. nov. dec. ave. blvd. rd. no. gen. lt. col.
    sgt. capt. sen. rep. gov. pres. u.s. u.k. a.m. p.m. ft.
    """.split()  # noqa: SIM905 - fifty quoted words would be harder to read
)
# These end a sentence more often than they shorten a word, unless a number follows.
_ONLY_BEFORE_NUMBER = frozenset({"no."})
_FUSED = {
    "cannot": ("can", "not"),
    "gonna": ("gon", "na"),
    "gotta": ("got", "ta"),
    "wanna": ("wan", "na"),
    "gimme": ("gim", "me"),
    "lemme": ("lem", "me"),
    "'tis": ("'t", "is"),
    "'twas": ("'t", "was"),
}
_RENAMED = {
    "(": "-lrb-",
    ")": "-rrb-",
    "[": "-lsb-",
    "]": "-rsb-",
    "{": "-lcb-",
    "}": "-rcb-",
    "¢": "cents",
    "£": "#",
    "€": "$",
}
_DROPPED = frozenset({"''", "'", "``", "`", '"', ".", "..", "?", "!", ",", ":", ";", "-", "…"})
_TYPOGRAPHY = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-"})

_TOKEN = re.compile(
    r"""
    (?:https?://|www\.)\S+                      # addresses stay whole
  | [\w.+-]+@[\w-]+(?:\.[\w-]+)+
  | '\d0s\b                                     # '90s
  | '(?:tis|twas|em)\b
  | \d+(?:[.,:/]\d+)+                           # 1,000  3:30  1/2
  | (?:[^\W\d_]\.){2,}                          # u.s.  e.g.
  | y'(?=all\b)
  | \d+(?='\d|")                               # 5'10"
  | \w+(?:['./-]\w+)*(?:\+\+|\#)?\.?            # words with inner marks: black-clad, o'clock
  | [@\#][^\W\d]\w*
  | [?!]{2,}
  | \.{2,} | -{2,}
  | \S
    """,
    re.VERBOSE,
)
_CLITIC = re.compile(r"(?<=\w)(n't|'(?:s|m|d|re|ve|ll)|'n)$")


def tokenize(text: str) -> list[str]:
    """Cut `text` into lower-case tokens; marks of punctuation are left out.

    >>> tokenize("It's a black-clad man, isn't it?")
    ['it', "'s", 'a', 'black-clad', 'man', 'is', "n't", 'it']
    """
    text = text.lower().translate(_TYPOGRAPHY)
    tokens: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        rest = text[match.end() :].lstrip()
        tokens.extend(_split_token(token, rest))
    return tokens


def _split_token(token: str, rest: str) -> list[str]:
    """Take a trailing dot off where it ends a sentence, and clitics off where there are any."""
    if token in _DROPPED or set(token) <= {".", "-"}:
        return []
    if token in _RENAMED:
        return [_RENAMED[token]]
    if token.endswith(".") and not _keeps_dot(token, rest):
        token = token[:-1]
    if token in _FUSED:
        return list(_FUSED[token])
    clitics: list[str] = []
    while match := _CLITIC.search(token):
        clitics.insert(0, match.group())
        token = token[: match.start()]
    return [token, *clitics]


def _keeps_dot(token: str, rest: str) -> bool:
    if token in _ONLY_BEFORE_NUMBER:
        return rest[:1].isdigit()
    if token in _ABBREVIATIONS:
        return True
    return len(token) > 2 and re.fullmatch(r"(?:[^\W\d_]\.)+", token) is not None

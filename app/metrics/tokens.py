"""Words of a text, cut as the scorers of the COCO caption benchmark cut them.

Published BLEU, ROUGE-L and CIDEr figures of rationales rest on the Penn Treebank conventions:
lower case, clitics apart (`it 's`, `do n't`), brackets renamed, plain punctuation dropped. This is
our own implementation of those conventions for running English; it needs no Java. Its agreement
with the benchmark's tokenizer is measured by `python -m benchmarks.metric_parity`.
"""

import re
import unicodedata

# Dots that belong to the word before them. Some short forms that are words too (sat, sun, fig)
# are not among them; see _ONLY_BEFORE_NUMBER.
_ABBREVIATIONS = frozenset(
    """
    mr. mrs. ms. messrs. dr. drs. prof. profs. sen. sens. rep. reps. gov. govs. atty. attys. pres.
    hon. rev. gen. col. maj. lt. lieut. capt. cmdr. comdr. sgt. cpl. pvt. pfc. spc. adm. brig. supt.
    det. jr. sr. bros. esq. ph.d. st. ste. mt. ft. ave. blvd. rd. rt. bldg. sq.
    inc. ltd. co. cos. corp. plc. pty. cie. assn. assoc. dept. univ. intl. natl. treas. mfg. elec.
    sys. tel. ext. etc. al. cf. vs. est. seq. alex. wm. jos.
    jan. feb. mar. apr. jun. jul. aug. sep. sept. oct. nov. dec. mon. tue. tues. wed. thu. thurs.
    fri. ala. ariz. calif. colo. conn. ct. dak. fla. ga. ind. kan. kans. ky. md. mich. minn. mo.
    mont. neb. nev. okla. penn. tenn. va. vt. wis. wisc. wyo.
    """.split()  # noqa: SIM905 - a hundred quoted words would be harder to read
)
# These end a sentence more often than they shorten a word, unless a number follows.
_ONLY_BEFORE_NUMBER = frozenset({"no.", "nos.", "art.", "fig.", "figs.", "op.", "pp.", "prop."})
# A capital letter with a dot ends a sentence if one of these follows: "It is plan B. The man".
_SENTENCE_OPENERS = frozenset(
    """
    A After An As At But He Her Here However If In It Last Many More Mr Now Once One Other Our She
    Since So Some Such That The Their Then There These They This We What When While You
    """.split()  # noqa: SIM905
)
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
_TYPOGRAPHY = str.maketrans(
    {
        **{"‘": "'", "’": "'", "“": '"', "”": '"', "–": "--", "—": "--"},
        **{"½": " 1/2 ", "¼": " 1/4 ", "¾": " 3/4 "},
        **{"\u00ad": "", "\u200b": " "},  # marks nobody sees: soft hyphen, zero-width blank
    }
)

_ENDING = r"(?:'(?:s|m|d|re|ve|ll)|(?<=n)'t)\b"  # what begins a clitic, inside the word before it
_TOKEN = re.compile(
    r"""
    (?:https?://|www\.)\S+                      # addresses stay whole
  | [\w.+-]+@[\w-]+(?:\.[\w-]+)+
  | '\d0s\b                                     # '90s
  | '(?:tis|twas|em|cause|til|till)\b
  | {clitic}                                    # with a blank before it
  | 'n'
  | \d+(?:[.,:/]\d+)+                           # 1,000  3:30  1/2
  | [-+]\d+(?:[.,:]\d+)*                        # -5  +1.5
  | [-+]?(?:[.,:]\d+)+                          # .50
  | (?:[^\W\d_]\.)+(?!\w)                       # u.s.  e.g.  b.
  | nos?\.(?=\d)                                # no.5
  | [^\W\d_]\.(?=\d)                            # a.1
  | y'(?=all\b)
  | \d+(?='\d|")                                # 5'10"
  | \w+(?:(?!{clitic}|'n')['/-]\w+)+(?:{clitic})?\+*\.?  # black-clad  o'clock
  | \w+(?:[.?!]\w+)*(?:\+\+|\#)?(?:{clitic})?\.?    # word.word: a blank forgotten
  | [@\#][^\W\d]\w*
  | [<>]?[:;=][-o*']?[()\[\]dp\\{@|](?![^\W\d_])     # smileys
  | [?!]{2,}
  | \.{2,} | -{2,}
  | \S
    """.replace("{clitic}", _ENDING),
    re.VERBOSE,
)
_CLITIC = re.compile(r"(?<=\w)(n't|'(?:s|m|d|re|ve|ll)|'n)$")
_BRACKET = re.compile(r"[()\[\]{}]")


def tokenize(text: str) -> list[str]:
    """Cut `text` into lower-case tokens; marks of punctuation are left out.

    >>> tokenize("It's a black-clad man, isn't it?")
    ['it', "'s", 'a', 'black-clad', 'man', 'is', "n't", 'it']
    """
    # The same accent is one character or two, as it was typed: composed, they are one word.
    text = unicodedata.normalize("NFC", text).translate(_TYPOGRAPHY)
    tokens: list[str] = []
    for match in _TOKEN.finditer(text.lower()):
        # Lower case can be longer than what it comes from (İ); only capitals after a dot matter.
        rest = text[match.end() :].lstrip()
        tokens.extend(_split_token(match.group(), rest))
    return tokens


def _split_token(token: str, rest: str) -> list[str]:
    """Take a trailing dot off where it ends a sentence, and clitics off where there are any."""
    if token in _DROPPED or set(token) <= {".", "-"} or token[0] > "\uffff":  # the last: 😀
        return []
    if token in _FUSED:
        return list(_FUSED[token])
    if not token[0].isalnum():
        return [_BRACKET.sub(lambda match: _RENAMED[match.group()], _RENAMED.get(token, token))]
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
    if re.fullmatch(r"[^\W\d_]\.", token):
        opener = re.match(r"\w+", rest)
        return opener is None or opener.group() not in _SENTENCE_OPENERS
    return re.fullmatch(r"(?:[^\W\d_]\.)+", token) is not None

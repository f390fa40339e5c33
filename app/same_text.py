"""When two texts count as one: rationales of an item, and a model's answer beside the right one.

A text is cut into words and symbols, and what is left out is only how it was typed: case, spacing,
sentence punctuation at the edges of words, and characters that nobody sees. Letters, marks (vowel
signs, accents), digits, signs, currency, math and emoji all count: "-5" is not "5", "C++" not "C#".
Where it is not certain that two spellings mean the same, they stay two texts: to judge one twice
costs a click, while a verdict on the wrong text spoils data.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable

from app.kit.texts import collapse

# Another width or shape of the same letter: Ａ, ｶ, Arabic presentation forms. No other form is
# made plain, as NFKC would do it: that makes 10² and 102 one.
_SHAPE = re.compile(r"<(?:wide|narrow|small|noBreak|initial|medial|final|isolated)> (.+)")
_LIGATURES = dict(zip("ﬀﬁﬂﬃﬄﬅﬆ", ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True))
# Soft hyphen, zero-width blank, marks of direction, invisible operators; VS15 and VS16 only say
# whether a symbol is in colour. Joiners and tags are none of these: they make one emoji of several.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufe0e\ufe0f\ufeff]"
)
# What is typed with punctuation alone, and the symbol that it stands for.
_SPELLED = (
    (re.compile(r"(?<=\d)\s?·\s?(?=\d)"), "⋅"),
    (re.compile(r"!=="), "≢"),
    (re.compile(r"!="), "≠"),
    (re.compile(r"<-+>"), "↔"),
    (re.compile(r"-+>"), "→"),
    (re.compile(r"<-+(?![\d.])"), "←"),
    (re.compile(r"(?<!\S)[:;=]'?-?[)\]]+(?=[.!?,]*(?:\s|$))"), "☺"),
    (re.compile(r"(?<!\S)[:;=]'?-?[(\[]+(?=[.!?,]*(?:\s|$))"), "☹"),
)
_IS_FORMULA = re.compile(r"[+*×÷=<>^≤≥≠]|\)\s?[-−/]|[-−/]\s?\(")
# One letter per character: w letter, d digit, m mark, z joiner, s symbol, j apostrophe, M minus,
# n en dash, p punctuation of no account; other punctuation stands for itself.
_KINDS = {
    **dict.fromkeys("'’ʼ´·׳״‧", "j"),
    **dict.fromkeys("-‐‑־", "-"),
    **dict.fromkeys("([{", "("),
    **dict.fromkeys(")]}", ")"),
    **dict.fromkeys("\u200c\u200d", "z"),
    **dict.fromkeys("#%&*/@\\§‰‱′″‴†‡٪", "s"),  # punctuation to Unicode, but it says something
    **{"−": "M", "–": "n", "`": "p", "_": "w", ".": ".", ",": ",", ":": ":", '"': '"'},
}
_ATOM = re.compile(
    r"""
    (?P<word>
        (?<![wdmz]) w{1,2} [-M] (?![wdmzM-])            # A-  AB-  Na-
      | (?: (?<![wdmz.]) \. (?=d) )? [wdm][wdmz]*       # .5  red  naïve
        (?: (?: [j.] | (?<=d)[,:](?=d) | (?!(?<=d)-(?=d))- ) [wdm][wdmz]* )*  # 1.5  T-shirt
    )
  | (?P<symbol> s m* (?: z s m* )* )                    # one emoji is one symbol, of many parts too
  | (?P<minus>
        M
      | - (?= [ ]?[s(]?[ ]?\.?d )                       # -5  - 5  -$5
      | - (?= w(?![wdmz]) )                             # -x
      | (?<=d)[ ]?n(?=[ ]?d) | (?<![wdmz ])n(?=\.?d) | (?<=[ ])n(?=\.?d)  # 3–5  –5
      | (?: (?<=[^wdmz]w) | (?<=^w) | (?<=d) ) [ ] - (?= [ ]w(?![wdmz]) )  # x - y
    )
  | (?P<quote> [j"] )
  | (?P<bracket> [()] )
    """,
    re.VERBOSE,
)

_NUMBER_WORDS = {"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4"} | {
    word: str(number)
    for number, word in enumerate(("five", "six", "seven", "eight", "nine", "ten"), start=5)
}
_ARTICLES = frozenset({"a", "an", "the"})
# Those of the public VQA evaluation whose apostrophe may be left out: the rest is another word.
_CONTRACTIONS = frozenset(
    """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've
    hasn't haven't he'd he'd've he's how'd how'll how's i'd've i'm i've isn't it'd it'd've it'll
    let's ma'am mightn't mightn't've might've mustn't must've needn't not've o'clock oughtn't
    ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd somebody'd've
    somebody'll somebody's someone'd someone'd've someone'll someone's something'd
    something'd've something'll that's there'd there'd've there're there's they'd they'd've
    they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've
    when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
    would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
    """.replace("'", "").split()
)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")


class _Table(dict[int, str]):
    """The table that `str.translate` asks about each character, worked out once."""

    def __init__(self, look_up: Callable[[str], str]) -> None:
        super().__init__()
        self.look_up = look_up

    def __missing__(self, code: int) -> str:
        return self.setdefault(code, self.look_up(chr(code)))


def text_key(text: str) -> str:
    """Returns the key under which equal rationales of an item are one candidate.

    A text of nothing but punctuation is equal to none but itself.
    """
    # No word or symbol begins with a blank, so the two cannot meet.
    written = normalise(text) or f" {collapse(text)}"
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()


def normalise(text: str) -> str:
    """Returns the words and symbols of a text with single blanks between; empty where there are
    none.

    >>> normalise("“It’s -5°,” he said.")
    "it's ... he said"
    """
    return " ".join(_cut(text))


def is_same_answer(given: str, expected: str) -> bool:
    """Compare answers as the public VQA evaluation does, with symbols kept; an empty one is wrong.

    Number words up to ten, articles, apostrophes of contractions, hyphens and the commas of
    thousands make no difference there.
    """
    given_words = _answer_words(given)
    if not given_words:
        return bool(collapse(given)) and collapse(given) == collapse(expected)
    return given_words == _answer_words(expected)


def _cut(text: str) -> list[str]:
    """Words and symbols, in order, each in its plain form."""
    plain = _make_plain(text)
    kinds = plain.translate(_KIND_OF)
    is_formula = bool(_IS_FORMULA.search(plain))
    found: list[str] = []
    open_quotes: set[str] = set()
    for match in _ATOM.finditer(kinds):
        start, end = match.span()
        atom = plain[start:end]
        match match.lastgroup:
            case "word":
                found.append(atom.translate(_ONE_SPELLING).strip("\u200c\u200d"))
            case "minus":
                found.append("-")
            case "bracket" if not is_formula:
                pass
            case "quote" if atom not in "'\"":
                pass
            case "quote" if atom in open_quotes:
                open_quotes.discard(atom)
            case "quote" if kinds[start - 1 : start] != "d":
                open_quotes.add(atom)
            case _:  # a symbol, a bracket of a formula, the mark of feet or inches
                found.append(atom)
    return found


def _make_plain(text: str) -> str:
    """Composed, in lower case, without what nobody sees or what only differs in shape."""
    text = collapse(_UNSEEN.sub("", collapse(text)).translate(_PLAIN))
    for spelling, symbol in _SPELLED:
        text = spelling.sub(symbol, text)
    return text


def _plain_character(character: str) -> str:
    """Returns the character in plain width and lower case; a digit of any script as 0–9."""
    if shape := _SHAPE.match(unicodedata.decomposition(character)):
        character = "".join(chr(int(code, 16)) for code in shape[1].split())
        if len(character) > 1:
            return "".join(map(_plain_character, character))
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    return _LIGATURES.get(character) or _fold(character)


def _fold(character: str) -> str:
    """Lower case where that is one letter: ß is not ss (Maße, Masse), ı not i, but İ is i."""
    if character == "İ":
        return "i"
    if unicodedata.category(character)[0] == "M":
        return character
    lower = (character.casefold(), character.lower())
    return next((one for one in lower if len(one) == 1), character)


def _kind(character: str) -> str:
    """The letter that stands for a character in `_ATOM`."""
    if kind := _KINDS.get(character):
        return kind
    if character.isdecimal():
        return "d"
    category = unicodedata.category(character)
    if category[0] in "LN":
        return "w"
    # Skin colours, and the tags that tell one flag from another, belong to what they follow.
    if category[0] == "M" or "\U0001f3fb" <= character <= "\U0001f3ff" or category == "Cf":
        return "m"
    if category[0] == "P" or category == "Cc":
        return "p"
    # Symbols, and what is younger than Python's tables: an emoji more often than anything else.
    return " " if category[0] == "Z" else "s"


def _answer_words(answer: str) -> list[str]:
    atoms = _cut(answer)
    words: list[str] = []
    for n, atom in enumerate(atoms):
        around = "".join(atoms[max(n - 1, 0) : n + 2])
        if atom == "/" and not any(map(str.isdigit, around)):
            continue
        words += _plain_words(atom)
    last = len(words) - 1
    # At the end it is no article: the answer may be the letter A.
    kept = [word for n, word in enumerate(words) if n == last or word not in _ARTICLES]
    return [_NUMBER_WORDS.get(word, word) for word in kept]


def _plain_words(atom: str) -> list[str]:
    """One word or symbol as the VQA evaluation compares it: T-shirt is two words, U.S. is us."""
    if _THOUSANDS.fullmatch(atom):
        return [atom.replace(",", "")]
    if not atom[0].isalnum() or atom.endswith("-"):
        return [atom]
    words = re.split("[-_]", re.sub(r"\.(?!\d)", "", atom))
    bare = ((word, word.replace("'", "")) for word in words)
    return [short if short in _CONTRACTIONS else word for word, short in bare]


_PLAIN = _Table(_plain_character)
_KIND_OF = _Table(_kind)
_ONE_SPELLING = str.maketrans("’ʼ´‐‑־−", "'''----")


def is_cut(draws: Iterable[bool | None]) -> bool:
    """Returns whether a candidate is cut at the limit of tokens, from whether its draws are: one
    draw that ended by itself, or of which nobody knows, shows that the text may be whole."""
    known = list(draws)
    return bool(known) and all(known)

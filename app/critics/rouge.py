"""The critic of the ILLUME paper: a rationale fits when it is close enough to a gold one."""

import unicodedata
from collections.abc import Sequence

from app.critics.base import CriticError, CriticItem, Fault, Verdict
from app.metrics import rouge_l_of_tokens


class RougeCritic:
    """Fits when ROUGE-L (beta 1.2) against the closest gold rationale reaches the threshold.

    Words are cut at blanks and put in lower case, as the paper's code does it: its threshold of 0.7
    holds for these words and not for those of `tokenize`. There it accepts 2.4 % of human
    rationales, since it rewards the phrasing of one annotator; 0.5 accepts about one in six.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.name = f"rouge:{threshold:g}"

    def judge(self, item: CriticItem, texts: Sequence[str]) -> list[Verdict]:
        """Raises CriticError for an item without gold rationales: there is nothing to compare."""
        if not item.gold_rationales:
            raise CriticError(
                f"The critic {self.name} needs gold rationales, and the item "
                f"“{item.question}” has none. Import some, or choose another critic."
            )
        references = [_words(gold) for gold in item.gold_rationales]
        return [self._judge(text, references) for text in texts]

    def _judge(self, text: str, references: Sequence[Sequence[str]]) -> Verdict:
        words = _words(text)
        score = max(rouge_l_of_tokens(words, [reference]) for reference in references)
        fits = score >= self.threshold
        reason = f"ROUGE-L {score:.2f} against the closest gold rationale"
        return Verdict(fits=fits, reason=reason, fault=None if fits else Fault.DOES_NOT_JUSTIFY)


def _words(text: str) -> list[str]:
    # Composed first: an accent typed as a character of its own would make another word.
    return unicodedata.normalize("NFC", text).lower().split()

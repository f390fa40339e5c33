"""The critic of the ILLUME paper: a rationale fits when it is close enough to a gold one."""

from collections.abc import Sequence

from app.critics.base import CriticError, CriticItem, Fault, Verdict
from app.metrics import rouge_l_of_tokens, tokenize

PAPER_THRESHOLD = 0.7
PAPER_WARNING = (
    "At 0.7, the threshold of the paper, this critic accepts only 2.4 % of rationales that people "
    "wrote: it rewards the phrasing of one annotator."
)


class RougeCritic:
    """Fits when ROUGE-L against the closest gold rationale reaches the threshold."""

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
        references = [tokenize(gold) for gold in item.gold_rationales]
        return [self._judge(text, references) for text in texts]

    def _judge(self, text: str, references: list[list[str]]) -> Verdict:
        tokens = tokenize(text)
        score = max(rouge_l_of_tokens(tokens, [reference]) for reference in references)
        fits = bool(tokens) and score >= self.threshold
        reason = f"ROUGE-L {score:.2f} against the closest gold rationale"
        return Verdict(fits=fits, reason=reason, fault=None if fits else Fault.DOES_NOT_JUSTIFY)

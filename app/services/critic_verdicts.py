"""The verdicts of a critic on texts of an item, and what is said where it cannot judge the item."""

from collections.abc import Sequence

from app.critics import Critic, CriticError, CriticItem, Verdict
from app.kit.sentences import Amount, Sentence
from app.models import Item
from app.round_settings import KNOWS_SCENES


def ask_critic(critic: Critic, item: Item, texts: Sequence[str]) -> list[Verdict] | None:
    """Returns one verdict per text; None where the critic cannot judge this item.

    Whether it can is a matter of the item alone, never of a text: what two models say of the same
    item has a verdict on both sides, or on neither.
    """
    asked = CriticItem(
        question=item.question,
        answer=item.answer,
        gold_rationales=tuple(item.gold_rationales),
        facts=item.facts,
    )
    try:
        return critic.judge(asked, texts)
    except CriticError:
        return None


def name_basis(critic: str) -> Sentence:
    """Returns what a critic judges by."""
    if critic == KNOWS_SCENES:
        return Sentence("the facts of a rendered scene")
    return Sentence("a gold rationale")


def tell_unjudged(critic: str, *, n_judged: int, n_items: int) -> Sentence | None:
    """Returns of how many held-out items a critic tells the fit, and what that means; None where it
    does of all."""
    if n_judged >= n_items:
        return None
    if not n_judged:
        return Sentence(
            "Fit is not measured: the critic %(critic)s judges by %(what)s and can judge none of "
            "the %(all)s held-out items. Their answers are measured all the same, and the loop "
            "goes by new coverage and right answers alone. To measure fit, import the held-out "
            "items again, updating them, with what they lack, or choose another critic "
            "(evaluation.critic).",
            critic=critic,
            what=name_basis(critic),
            all=Amount(n_items),
        )
    return Sentence(
        "Fit is measured on those %(n)s of the %(all)s held-out items that the critic %(critic)s "
        "can judge, by %(what)s. The others have no verdict and lower no share; their answers are "
        "measured as all are.",
        n=Amount(n_judged),
        all=Amount(n_items),
        critic=critic,
        what=name_basis(critic),
    )

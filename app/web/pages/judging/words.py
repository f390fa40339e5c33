"""The words of the judging pages that Python chooses: reasons, faults, statuses, what was said.

Templates translate them; what people wrote themselves is a part of a sentence and stays as it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce

from app.critics.base import Fault
from app.kit.sentences import CountedSentence, Sentence
from app.lifecycle import JudgementStatus, RoundStatus
from app.models import Judgement
from app.opinions import Box, Opinion, remarks_of
from app.queries.judging.empty_queue import QueueFigures
from app.services.judging.skip_reasons import shown_reason
from app.strategies import Mark

FAULT_LABELS: Mapping[str, str] = {
    Fault.WRONG_ABOUT_IMAGE: Sentence("Wrong about the image"),
    Fault.DOES_NOT_JUSTIFY: Sentence("Does not justify the answer"),
    Fault.RESTATES_ANSWER: Sentence("Only restates the answer"),
    Fault.UNCLEAR: Sentence("Unclear"),
}

_FAULTS_IN_A_LINE: Mapping[str, str] = {
    Fault.WRONG_ABOUT_IMAGE: Sentence("wrong about the image"),
    Fault.DOES_NOT_JUSTIFY: Sentence("does not justify the answer"),
    Fault.RESTATES_ANSWER: Sentence("only restates the answer"),
    Fault.UNCLEAR: Sentence("unclear"),
}

# What the statuses mean to the person who did it, and the colour of the badge.
STATUS_WORDS = {
    JudgementStatus.LEASED: (Sentence("begun"), "info"),
    JudgementStatus.DRAFT: (Sentence("begun"), "info"),
    JudgementStatus.SUBMITTED: (Sentence("submitted"), "ok"),
    JudgementStatus.SKIPPED: (Sentence("skipped"), ""),
    JudgementStatus.RELEASED: (Sentence("let go"), "warn"),
    JudgementStatus.WITHDRAWN: (Sentence("set apart"), "warn"),
}

_CLOSED = {
    RoundStatus.DRAFT: (
        Sentence("This round has not started"),
        Sentence("Items appear here as soon as an admin starts it."),
    ),
    RoundStatus.CLOSING: (
        Sentence("Judging is over: what was picked is being counted"),
        Sentence("The model learns from it next. The next round brings new rationales."),
    ),
    RoundStatus.TRAINING: (
        Sentence("Judging is over: the model is learning"),
        Sentence("It is being trained on what was picked. The next round brings new rationales."),
    ),
    RoundStatus.EVALUATING: (
        Sentence("Judging is over: the new model is being measured"),
        Sentence("The next round, if there is one, brings new rationales."),
    ),
    RoundStatus.COMPLETED: (
        Sentence("This round is completed"),
        Sentence("Thank you. Look at the start page for the next one."),
    ),
    RoundStatus.CANCELLED: (
        Sentence("This round was cancelled"),
        Sentence("What you submitted is kept on record."),
    ),
}


def explain_empty(status: RoundStatus, figures: QueueFigures | None) -> tuple[str, str]:
    """Returns a title and a sentence: why the queue is empty, and what happens next."""
    return _CLOSED[status] if figures is None else _explain_open(figures)


def _explain_open(figures: QueueFigures) -> tuple[str, str]:
    if figures.n_limit is not None:
        return (
            Sentence("You have done your share of this round"),
            CountedSentence(
                "One person judges %(n)s item of it at most, and you have judged as many. Thank "
                "you. The rest is for others; the next round is yours again.",
                "One person judges %(n)s items of it at most, and you have judged as many. Thank "
                "you. The rest is for others; the next round is yours again.",
                n=figures.n_limit,
            ),
        )
    if figures.n_waiting:
        return (
            Sentence("The next items are being prepared"),
            CountedSentence(
                "The model is still writing rationales for %(n)s item. They appear here by "
                "themselves.",
                "The model is still writing rationales for %(n)s items. They appear here by "
                "themselves.",
                n=figures.n_waiting,
            ),
        )
    if figures.n_held_by_others:
        return (
            Sentence("The last items are with others"),
            CountedSentence(
                "%(n)s item is being judged by other people right now. If one is let go, it "
                "appears here by itself.",
                "%(n)s items are being judged by other people right now. If one is let go, it "
                "appears here by itself.",
                n=figures.n_held_by_others,
            ),
        )
    if figures.n_skipped:
        return (
            Sentence("Only items that you skipped are left"),
            CountedSentence(
                "You skipped %(n)s item that nobody has finished yet. You can take them up again "
                "from your list. What everybody skips is set aside for the admins.",
                "You skipped %(n)s items that nobody has finished yet. You can take them up again "
                "from your list. What everybody skips is set aside for the admins.",
                n=figures.n_skipped,
            ),
        )
    if figures.n_for_others:
        return (
            Sentence("You have judged everything that you can"),
            CountedSentence(
                "%(n)s item still needs the view of somebody else.",
                "%(n)s items still need the view of somebody else.",
                n=figures.n_for_others,
            ),
        )
    return (
        Sentence("All items of this round are judged"),
        Sentence("Thank you. The round moves on from here."),
    )


def opinion_lines(
    opinion: Opinion,
    texts: Mapping[int, str],
    *,
    of_draws: Mapping[int, str],
    marks: Iterable[Mark],
) -> tuple[str, ...]:
    """Returns an opinion as lines to read; `texts` are those of the candidates, `of_draws` those
    that draws led to, and `marks` what may be said of their turns.
    """
    lines: list[str] = [
        texts[candidate_id] for candidate_id in opinion.picked if candidate_id in texts
    ]
    if opinion.none_fits:
        lines.append(Sentence("None fits"))
    if opinion.answer_is_wrong:
        lines.append(Sentence("The answer is wrong"))
    lines += remarks_of(opinion)
    for candidate_id, names in opinion.faults.items():
        # In the order in which the page offers them, which is not that of their names.
        known = [words for name, words in _FAULTS_IN_A_LINE.items() if name in names]
        unknown = [name for name in names if name not in _FAULTS_IN_A_LINE]
        faults = reduce(_also, known + unknown)
        text = texts.get(candidate_id, "")
        lines.append(Sentence("“%(text)s”: %(faults)s", text=text, faults=faults))
    lines += [Sentence("Better: “%(text)s”", text=text) for text in opinion.edits.values()]
    lines += _turn_lines(opinion, of_draws, marks)
    if opinion.comment:
        lines.append(Sentence("Comment: %(text)s", text=opinion.comment))
    return tuple(lines or [Sentence("Nothing chosen")])


def _turn_lines(
    opinion: Opinion, of_draws: Mapping[int, str], marks: Iterable[Mark]
) -> Iterator[str]:
    known = {mark.of: mark for mark in marks}
    for draw, turn, of, value in opinion.each_mark():
        mark = known.get(of)
        yield Sentence(
            "“%(text)s”, look %(n)s: %(question)s %(value)s",
            text=of_draws.get(draw, ""),
            n=turn,
            question=mark.question if mark else of,
            value=mark.values.get(value, value) if mark else value,
        )
    for draw, turn, text in opinion.each_correction():
        yield Sentence(
            "“%(text)s”, look %(n)s, seen instead: “%(seen)s”",
            text=of_draws.get(draw, ""),
            n=turn,
            seen=text,
        )
    for draw, turn, box in opinion.each_box():
        yield Sentence(
            "“%(text)s”, look %(n)s, box: %(box)s",
            text=of_draws.get(draw, ""),
            n=turn,
            box=box_in_words(box),
        )


def box_in_words(box: Box) -> Sentence:
    """Returns where a box lies on the picture."""
    left, top, right, bottom = (
        round(100 * share) for share in (box.left, box.top, box.right, box.bottom)
    )
    return Sentence(
        "from %(left)s %% to %(right)s %% of the width, from %(top)s %% to %(bottom)s %% of the "
        "height",
        left=left,
        right=right,
        top=top,
        bottom=bottom,
    )


def _also(first: str, second: str) -> str:
    return Sentence("%(first)s, %(second)s", first=first, second=second)


def describe(judgement: Judgement) -> str:
    """Returns the verdict of a judgement in one line."""
    if judgement.status is JudgementStatus.SKIPPED:
        return Sentence("Skipped: %(reason)s", reason=shown_reason(judgement.skip_reason))
    if judgement.answer_is_wrong:
        return Sentence("The answer is wrong")
    if judgement.none_fits:
        return Sentence("None fits")
    if judgement.picked:
        n_shown = len(judgement.shown_order)
        return Sentence("%(n)s of %(total)s fit", n=len(judgement.picked), total=n_shown)
    return Sentence("Nothing chosen yet")

"""Rounds of the strategy `self_questioning` whose rationales the model asked itself about."""

from collections.abc import Mapping

from sqlalchemy.orm import Session

from app.models import Item, Project, Round, RoundItem
from app.queries.judging.shown_item import get_candidate_texts
from app.round_settings import LoopSettings
from app.strategies.self_questioning import Doubt, ProbedTrace
from tests.support.factories import make_item, make_project, make_round
from tests.support.judging import make_people, make_traced, open_item, submit

SEEN = "red"


def probed_settings(*, judges: str = "people", warns: bool = True) -> LoopSettings:
    """Two questions about each rationale."""
    return LoopSettings.model_validate(
        {
            "strategy": "self_questioning",
            "auto_advance": False,
            "judging": {"judges": judges, "overlap": 1},
            "self_questioning": {"probe_questions": 2, "probe_warns": warns},
        }
    )


def make_probed_round(
    session: Session,
    settings: LoopSettings | None = None,
    *,
    project: Project | None = None,
    number: int = 1,
) -> Round:
    """A round that is being judged, with nothing in it."""
    project = project or make_project(session)
    return make_round(session, project, number=number, settings=settings or probed_settings())


def probed(*told: str) -> ProbedTrace:
    """What was asked about a rationale, by what it alone says; the picture always shows `SEEN`."""
    return ProbedTrace(
        doubts=tuple(
            Doubt(
                asked=f"what color is ball {number}?",
                from_picture=SEEN,
                from_rationale=said,
                differs=said != SEEN,
            )
            for number, said in enumerate(told, start=1)
        )
    )


def make_probed(
    session: Session,
    round_: Round,
    texts: Mapping[str, ProbedTrace | None],
    *,
    slots: int = 1,
    item: Item | None = None,
) -> RoundItem:
    """An open item of a round, each of whose texts was drawn twice."""
    item = item or make_item(session, session.get_one(Project, round_.project_id))
    traces = {text: [trace, trace] for text, trace in texts.items()}
    return make_traced(session, round_, item, traces, slots=slots)


def make_doubted_round(session: Session, *, n_items: int = 10) -> Round:
    """A judged round whose evidence nobody has gathered yet: of what is doubted one text fits, of
    the rest all but one do."""
    round_ = make_probed_round(session)
    (user,) = make_people(session, 1)
    for number in range(n_items):
        make_probed(session, round_, {"it is blue": probed("blue"), "it is red": probed("red")})
        judgement = open_item(session, round_, user)
        texts = get_candidate_texts(session, judgement.shown_order)
        right = "it is red" if number else "it is blue"
        picked = [each for each in judgement.shown_order if texts[each] == right]
        submit(session, judgement, picked=picked)
    return round_

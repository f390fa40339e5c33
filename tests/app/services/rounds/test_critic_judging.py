"""A critic judges a round, also where it cannot make sense of an item."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import RoundItemState
from app.models import Judgement
from app.queries.rounds.rounds import has_unjudged_items
from app.round_settings import LoopSettings
from app.scenes.scene import Obj, Scene
from app.services.rounds.critic_judging import judge_round
from tests.support.factories import make_item, make_project, make_round, make_round_item

SCENE = Scene((Obj(shape="sphere", color="red", size="small", material="rubber", row=0, col=0),))
SETTINGS = LoopSettings.model_validate(
    {"judging": {"judges": "exact"}, "evaluation": {"critic": "exact"}}
)


def test_an_item_that_the_critic_cannot_judge_is_set_aside_and_the_others_are_judged(
    session: Session,
) -> None:
    project = make_project(session, settings=SETTINGS)
    round_ = make_round(session, project, settings=SETTINGS)
    known, unknown, captioned = (
        make_item(session, project, question=question, facts=facts)
        for question, facts in (
            ("what color is the sphere?", SCENE.to_dict()),
            ("is he happy?", SCENE.to_dict()),
            ("what color is the sphere?", {"caption": "a red ball"}),
        )
    )
    texts = ["the sphere in the top left is red", "no idea"]
    judged, *others = (
        make_round_item(session, round_, item, texts=texts) for item in (known, unknown, captioned)
    )

    figures = judge_round(session, round_)
    session.flush()
    session.expire_all()
    assert judged.state is RoundItemState.DONE
    assert [place.state for place in others] == [RoundItemState.SET_ASIDE] * 2
    assert {place.set_aside_reason for place in others} == {
        "The critic exact, which judges the round, cannot judge it."
    }
    assert session.scalars(select(Judgement.round_item_id)).all() == [judged.id]
    assert (figures.items, figures.candidates) == (1, 2)
    # So that the round does not wait for them.
    assert not has_unjudged_items(session, round_.id)

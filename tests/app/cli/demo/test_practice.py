"""The demo's practice round: true of its scenes, varied, and in nobody's way."""

from sqlalchemy.orm import Session

from app.cli.demo.demo import Sizes, create_demo_project
from app.cli.demo.practice import N_ITEMS, N_TEXTS, add_demo_practice
from app.critics.base import CriticItem
from app.critics.exact import ExactCritic
from app.lifecycle import PracticeMode, Split
from app.queries.judging import practice as queries
from app.services.judging import practice
from tests.support.factories import make_membership, make_user


def test_demo_practice_is_judged_by_the_exact_critic_and_offered(session: Session) -> None:
    sizes = Sizes(n_train=2, n_validation=24, n_test=0)
    project = create_demo_project(session, name="Demo", seed=0, sizes=sizes)
    add_demo_practice(session, project, seed=0)
    rows = queries.list_rows(session, project.id)
    assert len(rows) == N_ITEMS
    assert {row.item.split for row in rows} == {Split.VALIDATION}, "people are never asked these"
    nothing_fits = 0
    for row in rows:
        lesson, item = row.practice_item, row.item
        candidates = queries.list_candidates(session, lesson.id)
        assert 3 <= len(candidates) <= N_TEXTS
        assert lesson.explanation
        asked = CriticItem(item.question, item.answer, tuple(item.gold_rationales), item.facts)
        verdicts = ExactCritic().judge(asked, [one.text for one in candidates])
        assert lesson.answer_is_wrong == (lesson.answer != item.answer)
        if not lesson.answer_is_wrong:
            assert [one.fits for one in candidates] == [verdict.fits for verdict in verdicts]
            assert all(one.explanation for one in candidates)
            nothing_fits += not any(one.fits for one in candidates)
    assert sum(row.practice_item.answer_is_wrong for row in rows) == 1
    assert nothing_fits == 1
    annotator = make_user(session)
    make_membership(session, project, annotator)
    assert project.practice is PracticeMode.OFFERED
    assert not practice.is_due(session, project, annotator)
    assert practice.count_offered(session, project, annotator) == N_ITEMS

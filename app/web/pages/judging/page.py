"""The judging page around an item: its guidelines, keys and the words of its controls."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup
from sqlalchemy.orm import Session

from app.models import Project, Round, User
from app.opinions import MAX_COMMENT, MAX_CORRECTION
from app.services.judging import practice
from app.services.judging.judgements import MAX_SKIP_REASON
from app.services.judging.keys import (
    SHOW_TRACE,
    TRACED,
    Key,
    keys_with,
    traced_actions,
)
from app.services.judging.leases import judging_settings
from app.services.judging.skip_reasons import SKIP_REASONS
from app.services.judging.ways import (
    is_blind,
    list_strategies,
    strategy_of,
    trace_template_of,
)
from app.services.projects.guidelines import Change, find_unread_change
from app.web.pages.judging.words import (
    FAULT_LABELS,
)
from app.web.render.guidelines_text import render_guidelines


@dataclass(frozen=True, eq=False)
class Controls:
    """The controls around an item: the same object for all who have the same keys.

    So the pieces of pages that are made of it can be kept (app/web/render/templating.py).
    """

    keys: tuple[Key, ...]
    hints: Mapping[str, str]
    """By action: the key, as it stands on the control."""
    faults: Mapping[str, str]
    skip_reasons: tuple[str, ...] = SKIP_REASONS
    max_skip_reason: int = MAX_SKIP_REASON
    max_comment: int = MAX_COMMENT
    max_correction: int = MAX_CORRECTION


@lru_cache(maxsize=256)
def _controls_with(own_keys: tuple[tuple[str, str], ...], *, traced: frozenset[str]) -> Controls:
    own = keys_with(dict(own_keys))
    keys = tuple(key for key in own if key.action in traced or key.action not in TRACED)
    return Controls(keys, {key.action: key.shown for key in keys}, FAULT_LABELS)


def _traced_actions(round_: Round) -> frozenset[str]:
    """The actions on traces; of what takes part, not of what is shown: it is the same beside every
    item of a round that is judged blind."""
    if is_blind(round_):
        of_each = [traced_actions(one, shows_traces=True) for one in list_strategies(round_)]
        return frozenset({SHOW_TRACE}).union(*of_each)
    shows_traces = trace_template_of(round_) is not None
    return traced_actions(strategy_of(round_), shows_traces=shows_traces)


@dataclass(frozen=True)
class JudgePage:
    """The parts of the page around an item: guidelines, keys, words of the controls."""

    project_name: str
    project_slug: str
    round_id: int
    round_number: int
    user_id: int
    guidelines: Markup
    shows_guidelines: bool
    news: Change | None
    practice_items: int
    has_checks: bool
    """Whether people are measured on items whose verdicts are known: then they are told so."""
    controls: Controls

    @property
    def hints(self) -> Mapping[str, str]:
        """Returns the keys by action, as they stand on the controls."""
        return self.controls.hints


def build_page(
    session: Session,
    project: Project,
    round_: Round,
    user: User,
    *,
    n_in_round: int,
    guidelines_read: int | None,
    is_whole: bool,
) -> JudgePage:
    """Returns the parts around an item, for the whole page or for an answer that swaps them.

    A page that is there already has the guidelines; it gets them again with what changed in them.
    """
    news = find_unread_change(session, project, guidelines_read)
    return JudgePage(
        project_name=project.name,
        project_slug=project.slug,
        round_id=round_.id,
        round_number=round_.number,
        user_id=user.id,
        guidelines=render_guidelines(session, project) if is_whole or news else Markup(""),
        # Open for people who are new to the round; the script remembers what they do with it.
        shows_guidelines=bool(project.guidelines) and n_in_round == 0,
        news=news,
        practice_items=practice.count_offered(session, project, user) if is_whole else 0,
        has_checks=judging_settings(round_).check_share > 0,
        controls=_controls_with(
            tuple(user.judging_keys.items()),
            traced=_traced_actions(round_),
        ),
    )

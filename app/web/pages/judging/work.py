"""The item in front of a person, or why there is none, built from query results."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.kit.settings import get_settings
from app.lifecycle import JUDGEABLE_ROUND, JudgementStatus, RoundStatus
from app.models import Judgement, Project, Round, User
from app.opinions import REMARKS, Opinion
from app.queries.judging import own_work, shown_item
from app.queries.judging.empty_queue import get_queue_figures
from app.queries.judging.leases import HELD
from app.queries.judging.shown_item import ShownItem
from app.queries.judging.submissions import list_recent_submissions
from app.services.judging.branches import can_wait
from app.services.judging.checks import find_upcoming_check
from app.services.judging.leases import Leased, judging_settings
from app.services.judging.opinions import edit_limit, opinion_of
from app.services.judging.ways import (
    Way,
    find_ways,
    is_blind,
    list_strategies,
    may_see_traces,
    strategy_of,
    trace_template_of,
)
from app.strategies import Mark
from app.web.assets.image_urls import image_url, srcset
from app.web.pages.judging.branches import ShownBranch, build_branches
from app.web.pages.judging.looks import ShownLook, show_looks
from app.web.pages.judging.traces import Opened, build_opened
from app.web.pages.judging.words import (
    explain_empty,
)


@dataclass(frozen=True)
class Choice:
    """A candidate as it is offered."""

    candidate_id: int
    place: int
    text: str
    is_picked: bool
    is_cut: bool = False
    faults: tuple[str, ...] = ()
    edit: str = ""
    is_too_long: bool = False
    way: Way | None = None
    """How its most probable draw came to it, where that was noted."""

    @property
    def looks(self) -> tuple[ShownLook, ...]:
        """Returns where its draw looked, where that has a place on the picture."""
        return show_looks(self.way)

    @property
    def is_mended(self) -> bool:
        """Whether the person names a fault of it, or has written a better text."""
        return bool(self.faults or self.edit or self.is_too_long)


@dataclass(frozen=True)
class Work:
    """One item in front of one person."""

    judgement_id: int
    status: JudgementStatus
    version: int
    round_id: int
    question: str
    answer: str
    image_url: str
    image_srcset: str
    image_width: int
    image_height: int
    choices: tuple[Choice, ...]
    opinion: Opinion
    active_ms: int
    lease_seconds: float
    lease_until: str
    """The end of the lease as the page names it when it is closed; empty where there is none."""
    is_editable: bool
    can_take_back: bool
    previous_id: int | None
    next_id: int | None
    last_submitted_id: int | None
    upcoming: tuple[tuple[str, str], ...]
    """Address and sizes of the images that will probably be next."""
    trace_template: str | None
    """Shows how candidates came about; none where they come straight."""
    marks: Mapping[str, Mark]
    """By what they are of: what people may say of the turns of a trace."""
    can_continue: bool
    """Whether the model may be let continue from a turn that is corrected here."""
    branches: Mapping[int, Mapping[int, ShownBranch]]
    """By draw and turn: those of the corrections as they stand."""
    maps_are_coming: bool
    """Whether looks that are not measured are about to be: the round is still sampled."""
    is_blind: bool
    """Whether how the candidates came about is hidden until they are judged."""
    can_open: bool
    """Whether that may be seen now, and was not yet."""
    opened: Opened | None
    """How they came about, once that was asked for; None before, and where nothing is hidden."""
    max_edit: int
    n_in_round: int
    n_today: int
    notice: str
    error: str

    @property
    def remarks(self) -> frozenset[str]:
        """Returns the names of the remarks that are set (app/opinions.py)."""
        return frozenset(name for name in REMARKS if getattr(self.opinion, name))


@dataclass(frozen=True)
class Empty:
    """An empty queue: the reason for it, and what happens next."""

    round_id: int
    title: str
    text: str
    n_in_round: int
    n_today: int
    last_submitted_id: int | None
    n_skipped: int
    refreshes: bool


def look_up(session: Session, judgement: Judgement, round_: Round, *, today: datetime) -> ShownItem:
    """Looks up all that the page of a judgement shows of its item."""
    settings = judging_settings(round_)
    shown = shown_item.get_shown_item(
        session,
        judgement,
        since=today,
        looks_ahead=judgement.status in HELD,
        max_per_annotator=settings.max_per_annotator,
    )
    if not (settings.check_share and shown.upcoming):
        return shown
    check = find_upcoming_check(session, round_, judgement.user_id, share=settings.check_share)
    return replace(shown, upcoming=[check, *shown.upcoming[:-1]]) if check else shown


def lease_mark(held: Leased) -> str:
    """Returns the end of the lease to the microsecond, or nothing: pages give it back as it is."""
    until = held.lease_until
    return until.astimezone(UTC).isoformat(timespec="microseconds") if until else ""


def build_work(
    session: Session,
    judgement: Judgement,
    item: ShownItem,
    *,
    project: Project,
    round_: Round,
    opinion: Opinion | None = None,
    notice: str = "",
    error: str = "",
    too_long: frozenset[int] = frozenset(),
) -> Work:
    """Returns the item of a judgement. `opinion`, of a refused form, stands for the stored one."""
    own = item.own
    neighbours = own_work.find_neighbours(session, judgement, newest_id=own.newest_id)
    shown = opinion or opinion_of(judgement)
    strategy = strategy_of(round_)
    hides = is_blind(round_)
    is_open = may_see_traces(round_, judgement)
    ways = find_ways(session, round_, judgement)
    branches = build_branches(session, judgement, round_, shown)
    is_submitted = judgement.status is JudgementStatus.SUBMITTED
    is_judged = round_.status in JUDGEABLE_ROUND
    return Work(
        judgement_id=judgement.id,
        status=judgement.status,
        version=judgement.version,
        round_id=round_.id,
        question=item.question,
        answer=item.answer,
        image_url=image_url(project.slug, item.image_sha256),
        image_srcset=srcset(project.slug, item.image_sha256, item.image_width),
        image_width=item.image_width,
        image_height=item.image_height,
        choices=tuple(
            Choice(
                candidate_id,
                place,
                item.texts[candidate_id],
                candidate_id in shown.picked,
                # Of draws, as all that could tell them apart.
                candidate_id in item.cut and is_open,
                shown.faults.get(candidate_id, ()),
                shown.edits.get(candidate_id, ""),
                candidate_id in too_long,
                None if hides else next(iter(ways.get(candidate_id, ())), None),
            )
            for place, candidate_id in enumerate(judgement.shown_order, start=1)
        ),
        opinion=shown,
        active_ms=judgement.active_ms,
        lease_seconds=get_settings().lease_minutes * 60,
        lease_until=lease_mark(judgement),
        is_editable=judgement.status in HELD,
        can_take_back=is_submitted and is_judged and judgement.traces_opened_at is None,
        previous_id=neighbours.previous_id,
        next_id=neighbours.next_id,
        last_submitted_id=neighbours.newest_id,
        upcoming=tuple(
            (image_url(project.slug, sha256), srcset(project.slug, sha256, width))
            for sha256, width in item.upcoming
        ),
        trace_template=trace_template_of(round_),
        marks={mark.of: mark for mark in strategy.marks},
        can_continue=is_judged
        and can_wait(judgement, round_)
        and any(one.branch_template for one in list_strategies(round_)),
        branches=branches,
        maps_are_coming=round_.status is RoundStatus.GENERATING,
        is_blind=hides,
        can_open=is_submitted and is_judged and not is_open,
        opened=(
            build_opened(session, round_, judgement, item.texts, shown, ways, branches)
            if hides and is_open
            else None
        ),
        max_edit=edit_limit(item.texts.values()),
        n_in_round=own.n_in_round,
        n_today=own.n_since,
        notice=notice,
        error=error,
    )


def build_empty(session: Session, round_: Round, user: User, *, today: datetime) -> Empty:
    n_in_round, n_today = own_work.count_own(session, round_.id, user.id, since=today)
    last = list_recent_submissions(session, round_.id, user.id, 1)
    is_judgeable = round_.status in JUDGEABLE_ROUND
    figures = None
    if is_judgeable:
        limit = judging_settings(round_).max_per_annotator
        figures = get_queue_figures(session, round_.id, user.id, max_per_annotator=limit)
    title, text = explain_empty(round_.status, figures)
    return Empty(
        round_id=round_.id,
        title=title,
        text=text,
        n_in_round=n_in_round,
        n_today=n_today,
        last_submitted_id=last[0] if last and is_judgeable else None,
        n_skipped=figures.n_skipped if figures else 0,
        refreshes=round_.status not in (RoundStatus.COMPLETED, RoundStatus.CANCELLED),
    )

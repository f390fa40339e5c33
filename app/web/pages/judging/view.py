"""Answers of the judging routes: which page or fragment shows what."""

from dataclasses import dataclass

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from app.kit.errors import AppError, NotFound
from app.kit.sentences import Sentence
from app.models import Judgement, Project, Round, User
from app.opinions import Opinion
from app.queries.judging.access import RoundAccess
from app.queries.judging.leases import HELD
from app.services.judging.opinions import opinion_of
from app.web.http.htmx import is_htmx, respond
from app.web.pages.judging.branches import build_branches
from app.web.pages.judging.conflict import build_conflict
from app.web.pages.judging.mine import build_mine
from app.web.pages.judging.page import JudgePage, build_page
from app.web.pages.judging.today import day_start
from app.web.pages.judging.work import build_empty, build_work, lease_mark, look_up


@dataclass(frozen=True)
class JudgeView:
    """Answers one request of one person about one round. It stores nothing: routes do."""

    request: Request
    session: Session
    access: RoundAccess

    @property
    def user(self) -> User:
        return self.access.user

    @property
    def round_(self) -> Round:
        return self.access.round_

    @property
    def project(self) -> Project:
        return self.access.project

    def item(
        self,
        judgement: Judgement,
        *,
        opinion: Opinion | None = None,
        notice: str = "",
        error: AppError | None = None,
        too_long: frozenset[int] = frozenset(),
    ) -> Response:
        """Show an item that was opened. `opinion` stands in for the stored one: it was refused."""
        today = day_start(self.request.cookies)
        item = look_up(self.session, judgement, self.round_, today=today)
        work = build_work(
            self.session,
            judgement,
            item,
            project=self.project,
            round_=self.round_,
            opinion=opinion,
            notice=notice,
            error=error.message if error else "",
            too_long=too_long,
        )
        page = self._page(work.n_in_round)
        return respond(
            self.request,
            page="judge/show.html",
            fragments=self._fragments("judge/_work.html", page),
            context={"page": page, "work": work, "empty": None},
            status=error.status_code if error else 200,
        )

    def empty(self) -> Response:
        """Say why there is nothing to judge."""
        empty = build_empty(
            self.session, self.round_, self.user, today=day_start(self.request.cookies)
        )
        page = self._page(empty.n_in_round)
        return respond(
            self.request,
            page="judge/show.html",
            fragments=self._fragments("judge/_empty.html", page),
            context={"page": page, "work": None, "empty": empty},
        )

    def _page(self, n_in_round: int) -> JudgePage:
        return build_page(
            self.session,
            self.project,
            self.round_,
            self.user,
            n_in_round=n_in_round,
            guidelines_read=self.access.guidelines_read,
            is_whole=not is_htmx(self.request),
        )

    def _fragments(self, work: str, page: JudgePage) -> list[str]:
        """The guidelines come along as long as the person has not read their newest version."""
        return [work, "judge/_guidelines.html"] if page.news else [work]

    def saved(self, judgement: Judgement, *, leaves_out: bool = False) -> Response:
        """Say that all is stored; with `leaves_out`, all but a text that is too long."""
        return respond(
            self.request,
            page="judge/_saved.html",
            fragments=["judge/_saved.html"],
            context={
                "version": judgement.version,
                "lease_until": lease_mark(judgement),
                "leaves_out": leaves_out,
            },
        )

    def lease(self, judgement: Judgement) -> Response:
        return respond(
            self.request,
            page="judge/_lease.html",
            fragments=["judge/_lease.html"],
            context={"lease_until": lease_mark(judgement)},
        )

    def branch(self, judgement: Judgement, draw: int, turn: int) -> Response:
        """Show how far the branch of a correction is, or what came of it.

        Raises NotFound where nobody has asked for one of the correction as it is stored.
        """
        opinion = opinion_of(judgement)
        branches = build_branches(self.session, judgement, self.round_, opinion)
        branch = branches.get(draw, {}).get(turn)
        if branch is None:
            raise NotFound(Sentence("Nobody has asked the model to continue from this look."))
        return respond(
            self.request,
            page=branch.template,
            fragments=[branch.template],
            context={
                "branch": branch,
                "judgement_id": judgement.id,
                "is_editable": judgement.status in HELD,
            },
        )

    def conflict(
        self,
        judgement: Judgement,
        *,
        opinion: Opinion,
        message: str,
        can_overwrite: bool,
        status: int,
    ) -> Response:
        """Show why an opinion does not count, what is stored, and what this page holds."""
        conflict = build_conflict(
            self.session,
            judgement,
            opinion,
            round_=self.round_,
            message=message,
            can_overwrite=can_overwrite,
        )
        return respond(
            self.request,
            page="judge/conflict.html",
            fragments=["judge/_conflict.html"],
            context={"conflict": conflict},
            status=status,
        )

    def mine(self) -> Response:
        mine = build_mine(
            self.session,
            self.project,
            self.round_,
            self.user,
            today=day_start(self.request.cookies),
        )
        return respond(self.request, page="judge/mine.html", context={"mine": mine})

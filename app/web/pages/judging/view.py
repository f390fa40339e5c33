"""Answers of the judging routes: which page or fragment shows what."""

from dataclasses import dataclass
from typing import Self

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from app.kit.errors import AppError, StaleVersion
from app.models import Judgement, Project, Round, User
from app.queries.judging.judgements import HELD, RoundPlace
from app.queries.projects.guidelines import find_read_number
from app.services.judging.answers import Answer
from app.web.http.htmx import is_htmx, respond
from app.web.pages.judging.mine import build_mine
from app.web.pages.judging.work import (
    JudgePage,
    build_conflict,
    build_empty,
    build_page,
    build_work,
    day_start,
    lease_mark,
    look_up,
)


@dataclass(frozen=True)
class JudgeView:
    """One request of one person about one round."""

    request: Request
    session: Session
    user: User
    round_: Round
    project: Project

    @classmethod
    def of(cls, request: Request, session: Session, place: RoundPlace) -> Self:
        return cls(request, session, place.user, place.round_, place.project)

    def item(
        self,
        judgement: Judgement,
        *,
        content: Answer | None = None,
        notice: str = "",
        error: AppError | None = None,
        too_long: frozenset[int] = frozenset(),
    ) -> Response:
        today = day_start(self.request.cookies)
        item = look_up(self.session, judgement, self.round_, today=today)
        work = build_work(
            self.session,
            judgement,
            item,
            project=self.project,
            round_=self.round_,
            content=content,
            notice=notice,
            error=error.message if error else "",
            too_long=too_long,
        )
        self._note_guidelines(judgement)
        page = self._page(work.n_in_round, item.guidelines_read)
        return respond(
            self.request,
            page="judge/show.html",
            fragments=self._fragments("judge/_work.html", page),
            context={"page": page, "work": work, "empty": None},
            status=error.status_code if error else 200,
        )

    def empty(self) -> Response:
        empty = build_empty(
            self.session, self.round_, self.user, today=day_start(self.request.cookies)
        )
        read = find_read_number(self.session, self.project.id, self.user.id)
        page = self._page(empty.n_in_round, read)
        return respond(
            self.request,
            page="judge/show.html",
            fragments=self._fragments("judge/_empty.html", page),
            context={"page": page, "work": None, "empty": empty},
        )

    def _page(self, n_in_round: int, guidelines_read: int | None) -> JudgePage:
        return build_page(
            self.session,
            self.project,
            self.round_,
            self.user,
            n_in_round=n_in_round,
            guidelines_read=guidelines_read,
            is_whole=not is_htmx(self.request),
        )

    def _fragments(self, work: str, page: JudgePage) -> list[str]:
        """The guidelines come along as long as the person has not read their newest version."""
        return [work, "judge/_guidelines.html"] if page.news else [work]

    def _note_guidelines(self, judgement: Judgement) -> None:
        """The version beside an item that can be judged is the one that its judgement names."""
        newest = self.project.guidelines_version
        if judgement.status in HELD and judgement.guidelines_version != newest:
            judgement.guidelines_version = newest

    def saved(self, judgement: Judgement, *, leaves_out: bool = False) -> Response:
        """`leaves_out`: all is stored but a text that is too long."""
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

    def conflict(self, judgement: Judgement, *, content: Answer, error: AppError) -> Response:
        """The reason, what is stored, and what this page holds, side by side."""
        conflict = build_conflict(
            self.session,
            judgement,
            content,
            message=error.message,
            can_overwrite=isinstance(error, StaleVersion),
        )
        return respond(
            self.request,
            page="judge/conflict.html",
            fragments=["judge/_conflict.html"],
            context={"conflict": conflict},
            status=error.status_code,
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

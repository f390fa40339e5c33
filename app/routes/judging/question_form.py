"""Choices about the questions of an image, as a form sends them."""

from pydantic import BaseModel, ConfigDict

from app.kit.errors import InvalidInput
from app.kit.numbers import Id, Whole
from app.kit.sentences import Sentence
from app.opinions import QuestionChoices
from app.web.http.inputs import read_whole

_UNCLEAR = Sentence("The form does not say which question it means. Reload the page.")


class QuestionForm(BaseModel):
    """Choices as browsers send them: whole, with every click and every submission. The names are
    those of the judging page, whose scripts read them."""

    model_config = ConfigDict(extra="ignore")

    version: Whole
    active_ms: Whole = 0
    picked: tuple[Id, ...] = ()
    none_fits: bool = False
    fault: tuple[str, ...] = ()
    """`question:fault`, one per box that is ticked."""
    edited: tuple[Id, ...] = ()
    """All questions, in their order on the page."""
    edit: tuple[str, ...] = ()
    """Another wording of the question at the same place of `edited`; mostly empty."""
    answer: tuple[str, ...] = ()
    """The answer to it."""

    def read(self) -> QuestionChoices:
        """Returns the choices that were sent. Raises InvalidInput where their parts do not fit."""
        if len(self.edited) != len(self.edit) or len(self.edited) != len(self.answer):
            raise InvalidInput(_UNCLEAR)
        return QuestionChoices(
            kept=self.picked,
            drops_all=self.none_fits,
            faults=self._read_faults(),
            edits=dict(zip(self.edited, self.edit, strict=True)),
            answers=dict(zip(self.edited, self.answer, strict=True)),
        )

    def _read_faults(self) -> dict[int, tuple[str, ...]]:
        found: dict[int, tuple[str, ...]] = {}
        for value in self.fault:
            number, _, name = value.partition(":")
            question_id = read_whole(number)
            if question_id is None:
                raise InvalidInput(_UNCLEAR)
            found[question_id] = (*found.get(question_id, ()), name)
        return found

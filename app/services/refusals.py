"""Refusals of the domain that programs can tell apart, each with a code of its own.

The sentence of a refusal stands where the rule is; here is what stays the same while sentences
change. docs/errors.md is written from these classes.
"""

from app.kit.errors import AppError, Conflict, InvalidInput, NotAllowed, NotFound

# --- People ----------------------------------------------------------------------------------


class NameTaken(InvalidInput):
    """Another account has this name, or one that looks like it."""

    code = "name.taken"


class NameNotRepeated(InvalidInput):
    """What cannot be taken back wants the name typed once more, and it was not that name."""

    code = "name.not_repeated"


class PasswordRefused(InvalidInput):
    """A new password breaks a rule, or was typed in two ways."""

    code = "password.refused"


class PasswordWrong(InvalidInput):
    """The current password is another one."""

    code = "password.wrong"


class LastAdmin(Conflict):
    """Nobody would be left who can manage the project or the installation."""

    code = "admin.last"


class NotOneself(Conflict):
    """Nobody closes or erases their own account."""

    code = "account.own"


class AccountErased(Conflict):
    """The person was erased, which is for ever."""

    code = "account.erased"


class AccountNotOpen(Conflict):
    """The account that this is about is closed: open it again first."""

    code = "account.not_open"


class TryoutsWaiting(Conflict):
    """So many try-outs of the project wait for a worker that no more are taken."""

    code = "tryouts.waiting"


class TryoutLive(Conflict):
    """The try-out is queued or with a worker: it has to be cancelled first."""

    code = "tryout.live"


# --- Projects and data -----------------------------------------------------------------------


class ProjectArchived(Conflict):
    """The project is archived: nothing of it can be changed until it is taken out."""

    code = "project.archived"


class ProjectNotArchived(Conflict):
    """Only an archived project can be deleted."""

    code = "project.not_archived"


class ProjectBusy(Conflict):
    """A round is open or a run is under way: finish or cancel it first."""

    code = "project.busy"


class ProjectKept(Conflict):
    """Something of another project is built upon this one, which therefore stays."""

    code = "project.built_upon"


class ProjectDeleted(Conflict):
    """The project is being deleted already."""

    code = "project.deleted"


class SettingsInvalid(InvalidInput):
    """Settings of the loop that are not possible; `errors` names each field."""

    code = "settings.invalid"


class WrongFile(InvalidInput):
    """A file cannot be read or holds what is not right; `errors` has one line per problem."""

    code = "file.wrong"


class UploadUnderWay(Conflict):
    """Another upload of the same person has not arrived yet: send this one after it."""

    code = "upload.under_way"


class ImportUnderWay(Conflict):
    """Another import of the project is being stored: send this one after it."""

    code = "import.under_way"


class ItemIsExcluded(Conflict):
    """The item is excluded: include it first."""

    code = "item.excluded"


class ItemIsIncluded(Conflict):
    """The item is in the data already."""

    code = "item.not_excluded"


class ItemTakenOut(Conflict):
    """An admin took the item out of the data; what was submitted about it stays as it is."""

    code = "item.taken_out"


class ReleaseUnderWay(Conflict):
    """Another release of the project is being made: ask again when it is done."""

    code = "release.under_way"


class AdapterMissing(NotFound):
    """The files of an adapter are not in the store."""

    code = "adapter.missing"


class ReleaseNotBuilt(NotFound):
    """The files of a release are not built: have them built, and wait for the run."""

    code = "release.not_built"


class ReleaseDamaged(AppError):
    """The rows of a release are not those that it was made of: restore a backup."""

    status_code = 500
    code = "release.damaged"


class AlreadyThere(InvalidInput):
    """There is a file or folder of this name already, and it is not written over."""

    code = "file.exists"


# --- Rounds and runs -------------------------------------------------------------------------


class RoundOpen(Conflict):
    """The project has an open round: complete or cancel it before another one."""

    code = "round.open"


class RoundNotDraft(Conflict):
    """Only a draft of a round can be started."""

    code = "round.not_draft"


class NotDisputed(Conflict):
    """There is nothing to adjudicate about the item now."""

    code = "item.not_disputed"


class JudgedByOneself(NotAllowed):
    """Who judged an item does not adjudicate it."""

    code = "item.judged_by_oneself"


class RoundNotJudging(Conflict):
    """Only a round in judging can be closed."""

    code = "round.not_judging"


class NothingJudged(Conflict):
    """Nothing can be measured of a round in which nobody has judged anything."""

    code = "round.nothing_judged"


class NothingToCompare(Conflict):
    """A round's adapter cannot be compared with the one before it, or is being compared already."""

    code = "comparison.refused"


class RoundClosed(Conflict):
    """The round cannot be judged: it has not begun, or is closed, completed or cancelled."""

    code = "round.closed"


class RoundEmpty(InvalidInput):
    """A round would have nothing to sample from, or nothing to train on."""

    code = "round.empty"


class NothingToRetry(Conflict):
    """No run has failed, or what failed was retried already."""

    code = "retry.nothing"


class RunLive(Conflict):
    """Such a run is queued or running already."""

    code = "run.live"


class RunOver(Conflict):
    """The run is over, and cannot be cancelled any more."""

    code = "run.over"


class RunOfRound(Conflict):
    """The run belongs to a round: ask for it there."""

    code = "run.of_round"


# --- Judging ---------------------------------------------------------------------------------


class NothingChosen(InvalidInput):
    """An opinion says nothing yet: pick, or say that none fits or that the answer is wrong."""

    code = "opinion.empty"


class NothingCorrected(InvalidInput):
    """A draw goes on from a turn only where the person says what they see there instead."""

    code = "correction.missing"


class PartlyStored(InvalidInput):
    """A better text is too long; everything else of the opinion is stored."""

    code = "opinion.partly_stored"


class LeaseLost(Conflict):
    """The item went to others meanwhile; what was sent is kept with it, and does not count."""

    code = "lease.lost"


class AnswersSetApart(Conflict):
    """An admin set the answers of this person in this round apart."""

    code = "judgement.set_apart"


class AlreadySubmitted(Conflict):
    """The item is submitted: take it back to skip it."""

    code = "judgement.submitted"


class TooLateToTakeBack(Conflict):
    """Only the last few submissions can be taken back."""

    code = "judgement.too_late"


class TracesAreOpen(Conflict):
    """Whoever has seen how the rationales of an item came about cannot take back what they said."""

    code = "judgement.traces_open"


class NotSubmitted(Conflict):
    """How the rationales of an item came about is shown once the item is submitted."""

    code = "judgement.not_submitted"


class SameQuestion(InvalidInput):
    """An item of the image asks the same already: drop the question, or ask something else."""

    code = "question.known"


class QuestionUsed(Conflict):
    """The item made of a question was sampled, or otherwise used, and stays."""

    code = "question.used"


class PracticeOver(Conflict):
    """There is no practice round to answer in: begin one, or another one."""

    code = "practice.over"

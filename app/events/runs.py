"""Events of runs: from the queue to their end."""

from collections.abc import Mapping
from typing import ClassVar

from app.events.base import BaseEvent
from app.kit.sentences import Sentence
from app.lifecycle import Job

JOB_NAMES: Mapping[Job, Sentence] = {
    Job.BASELINE: Sentence("Baseline"),
    Job.GENERATE: Sentence("Sampling"),
    Job.JUDGE: Sentence("Critic"),
    Job.BRANCH: Sentence("Branch"),
    Job.CLOSE: Sentence("Closing"),
    Job.TRAIN: Sentence("Training"),
    Job.REINFORCE: Sentence("Learning from rewards"),
    Job.EVALUATE: Sentence("Evaluation"),
    Job.IMPORT: Sentence("Import"),
    Job.RELEASE: Sentence("Release"),
    Job.ASSESS: Sentence("Evidence"),
    Job.COMPARE: Sentence("Comparison"),
    Job.TRY: Sentence("Try-out"),
}


class RunEvent(BaseEvent):
    """Shared by the events of a run that went on to another status."""

    run_id: int
    job: Job
    role: str | None = None
    """The role whose model the run is for; None where the strategy has only one role."""

    def name(self) -> Sentence:
        """Returns what the run does."""
        job = JOB_NAMES[self.job]
        return Sentence("%(job)s (%(role)s)", job=job, role=self.role) if self.role else job


class RunQueued(RunEvent):
    """A run was asked for and waits for a worker."""

    tag: ClassVar[str] = "run:status:queued"

    def describe(self) -> str:
        return Sentence("%(job)s queued", job=self.name())


class RunStarted(RunEvent):
    """A worker began with a run."""

    tag: ClassVar[str] = "run:status:running"

    def describe(self) -> str:
        return Sentence("%(job)s running", job=self.name())


class RunSucceeded(RunEvent):
    """A run did all of its work."""

    tag: ClassVar[str] = "run:status:succeeded"

    def describe(self) -> str:
        return Sentence("%(job)s succeeded", job=self.name())


class RunFailed(RunEvent):
    """A run stopped at an error, which its row tells."""

    tag: ClassVar[str] = "run:status:failed"

    def describe(self) -> str:
        return Sentence("%(job)s failed", job=self.name())


class RunCancelled(RunEvent):
    """A run was cancelled before its end."""

    tag: ClassVar[str] = "run:status:cancelled"

    def describe(self) -> str:
        return Sentence("%(job)s cancelled", job=self.name())


class RunCancelRequested(BaseEvent):
    """Somebody, or the end of its round, asked a run to stop."""

    tag: ClassVar[str] = "run:cancel:requested"
    run_id: int

    def describe(self) -> str:
        return Sentence("A run was asked to stop")

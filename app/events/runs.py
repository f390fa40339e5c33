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
}


class RunEvent(BaseEvent):
    """Shared by the events of a run that went on to another status."""

    run_id: int
    job: Job


class RunQueued(RunEvent):
    """A run was asked for and waits for a worker."""

    tag: ClassVar[str] = "run:status:queued"

    def describe(self) -> str:
        return Sentence("%(job)s queued", job=JOB_NAMES[self.job])


class RunStarted(RunEvent):
    """A worker began with a run."""

    tag: ClassVar[str] = "run:status:running"

    def describe(self) -> str:
        return Sentence("%(job)s running", job=JOB_NAMES[self.job])


class RunSucceeded(RunEvent):
    """A run did all of its work."""

    tag: ClassVar[str] = "run:status:succeeded"

    def describe(self) -> str:
        return Sentence("%(job)s succeeded", job=JOB_NAMES[self.job])


class RunFailed(RunEvent):
    """A run stopped at an error, which its row tells."""

    tag: ClassVar[str] = "run:status:failed"

    def describe(self) -> str:
        return Sentence("%(job)s failed", job=JOB_NAMES[self.job])


class RunCancelled(RunEvent):
    """A run was cancelled before its end."""

    tag: ClassVar[str] = "run:status:cancelled"

    def describe(self) -> str:
        return Sentence("%(job)s cancelled", job=JOB_NAMES[self.job])


class RunCancelRequested(BaseEvent):
    """Somebody, or the end of its round, asked a run to stop."""

    tag: ClassVar[str] = "run:cancel:requested"
    run_id: int

    def describe(self) -> str:
        return Sentence("A run was asked to stop")

"""What check items say of people beforehand, for a policy that weighs them."""

from sqlalchemy.orm import Session

from app.metrics.dawid_skene import RightOfAsked
from app.queries.quality.checks import list_counts


def list_checked(session: Session, project_id: int) -> dict[int, RightOfAsked]:
    """Returns the right answers of each person about the check items of a project, in all rounds,
    by user. People who met none are left out."""
    return {
        user_id: RightOfAsked(
            fitting_right=counts.n_hits,
            fitting_asked=counts.n_fit,
            others_right=counts.n_rejected,
            others_asked=counts.n_misfit,
        )
        for user_id, counts in list_counts(session, project_id).items()
    }

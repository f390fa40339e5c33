"""Pictures that an admin sent to try models on, beside the images of the project."""

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class TriedPicture(Base):
    """The picture of a try-out that was sent with it, as it is shown: it is no image of the
    project, belongs to no item, and goes with its run."""

    __tablename__ = "tried_picture"
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    media_type: Mapped[str] = mapped_column(String(50))
    content: Mapped[bytes] = mapped_column(LargeBinary)
    __table_args__ = (
        CheckConstraint("length(content) BETWEEN 1 AND 16777216", name="content_within"),
    )

"""Check items on their way to people: after which of their items, and which one.

Nobody can tell one from the others. When one is due, and which it is, is fixed by the secret key of
the round: it looks random, and is the same however often it is asked.
"""

import hashlib
import hmac
import math

from sqlalchemy.orm import Session

from app.models import Round
from app.queries.judging import checks as queries
from app.queries.judging.queue import ClaimedItem


def count_due(round_: Round, user_id: int, n_submitted: int, share: float) -> int:
    """Returns how many check items a person has coming by the time that they have submitted
    `n_submitted` items of the round, the next one included.

    Each falls somewhere into a stretch of 1 / `share` items of its own. So the share is kept from
    the start, and no interval tells when the next one comes.
    """
    n_sure = math.floor(n_submitted * share)
    return n_sure + sum(
        math.floor((number + _fraction(round_, f"due:{user_id}:{number}")) / share) <= n_submitted
        for number in (n_sure, n_sure + 1)
    )


def claim_check(
    session: Session, round_: Round, user_id: int, *, share: float, even_if_begun: bool
) -> ClaimedItem | None:
    """Lock a check item for a person if one is due. Never waits, and gives nobody one twice.

    None also for who has begun another item, unless `even_if_begun`. What is due when none is left
    for this person lapses.
    """
    progress = queries.get_check_progress(session, round_.id, user_id)
    n_due = count_due(round_, user_id, progress.n_submitted, share)
    if progress.n_checks >= n_due:
        return None
    if not even_if_begun and queries.has_begun(session, round_.id, user_id):
        return None
    left = _in_order(session, round_, user_id)
    for place_id, _, _ in left:
        claimed = queries.claim_check_item(session, place_id)
        if claimed is not None:
            queries.put_n_checks(session, round_.id, user_id, progress.n_checks + 1)
            return claimed
    if not left:
        queries.put_n_checks(session, round_.id, user_id, n_due)
    return None


def find_upcoming_check(
    session: Session, round_: Round, user_id: int, *, share: float
) -> tuple[str, int] | None:
    """Returns the image, with its width, of the check item that follows the item in front of a
    person; None where another item follows.

    Images are fetched ahead: one that was not would tell what it is.
    """
    progress = queries.get_check_progress(session, round_.id, user_id)
    if progress.n_checks >= count_due(round_, user_id, progress.n_submitted + 1, share):
        return None
    left = _in_order(session, round_, user_id)
    return left[0][1:] if left else None


def _in_order(session: Session, round_: Round, user_id: int) -> list[tuple[int, str, int]]:
    """(place, digest and width of the image) of the check items left, in this person's order."""
    left = queries.list_checks_left(session, round_.id, user_id)
    by_key = sorted(left, key=lambda row: _fraction(round_, f"which:{user_id}:{row.item_id}"))
    return [(place_id, sha256, width) for place_id, _, sha256, width in by_key]


def _fraction(round_: Round, message: str) -> float:
    """A number in [0, 1) that only the key of the round gives."""
    digest = hmac.new(round_.order_key.encode(), f"check:{message}".encode(), hashlib.sha256)
    return int.from_bytes(digest.digest()[:7]) / 2**56

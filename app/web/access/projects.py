"""Gates: each returns the object, or raises. Not there and not yours are both 404.

Members read their project; its admins, and administrators of the installation, manage it. What a
member may see but not do is 403.
"""

from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.kit.errors import NotAllowed, NotFound
from app.kit.numbers import Id
from app.kit.sentences import Sentence
from app.lifecycle import Job, Role, UserKind
from app.models import (
    Adapter,
    Image,
    Invite,
    Item,
    Membership,
    Project,
    ProjectImage,
    Release,
    Round,
    Run,
    User,
)
from app.queries.projects.access import (
    Part,
    PartAccess,
    ProjectAccess,
    find_part_access,
    find_project_access,
)
from app.queries.projects.guidelines_pictures import find_picture_of
from app.queries.projects.projects import find_membership_by_id, holds_image_for
from app.queries.quality.people import find_person
from app.services.archived import require_open
from app.services.refusals import RunOfRound
from app.web.access.deps import CurrentUser, SessionDep, let_in, not_signed_in
from app.web.assets.addresses import own_path

_NO_PROJECT = Sentence("There is no such project, or you are not a member of it.")
_NO_ITEM = Sentence("There is no such item, or you are not a member of its project.")
_NO_ROUND = Sentence("There is no such round, or you are not a member of its project.")
_NO_RUN = Sentence("There is no such run, or you are not a member of its project.")
_NO_RELEASE = Sentence("There is no such release, or you are not a member of its project.")
_NO_ADAPTER = Sentence("There is no such adapter, or you are not a member of its project.")
_NO_IMAGE = Sentence("There is no such image, or you are not a member of its project.")
_OF_THE_ARCHIVE = ("/archive", "/unarchive", "/delete")
_ADMINS_ONLY = Sentence("Only an admin of this project can do that.")


def _require_member(request: Request, access: ProjectAccess, missing: str) -> None:
    """Refuse strangers, and changes of an archived project other than to take it out or delete it.

    Raises NotFound with the sentence `missing`, or Conflict.
    """
    if access.role is None:
        raise NotFound(missing)
    is_change = request.method not in {"GET", "HEAD"}
    if is_change and not own_path(request).endswith(_OF_THE_ARCHIVE):
        require_open(access.project)


def _require_admin(access: ProjectAccess) -> None:
    if access.role != Role.ADMIN:
        raise NotAllowed(_ADMINS_ONLY)


def readable_access(slug: str, request: Request, session: SessionDep) -> ProjectAccess:
    """Returns the project with its member who asks; one look-up for both."""
    access = let_in(
        request,
        session,
        lambda credential: find_project_access(session, slug, credential),
        missing=_NO_PROJECT,
        refuse=not_signed_in,
    )
    _require_member(request, access, _NO_PROJECT)
    return access


AtProject = Annotated[ProjectAccess, Depends(readable_access)]


# Nothing to wait for in these: as coroutines they need no thread.
async def readable_project(access: AtProject) -> Project:
    return access.project


ReadableProject = Annotated[Project, Depends(readable_project)]


async def managed_project(access: AtProject) -> Project:
    _require_admin(access)
    return access.project


ManagedProject = Annotated[Project, Depends(managed_project)]


def require_managed_project(slug: str, request: Request, session: Session) -> None:
    """Look up anew whether the person who asks is an admin of the project. Raises as gates do."""
    _require_admin(readable_access(slug, request, session))


def managed_membership(
    membership_id: Id, project: ManagedProject, session: SessionDep
) -> Membership:
    membership = find_membership_by_id(session, project.id, membership_id)
    if membership is None:
        raise NotFound(Sentence("There is no such member."))
    return membership


ManagedMembership = Annotated[Membership, Depends(managed_membership)]


def managed_invite(invite_id: Id, project: ManagedProject, session: SessionDep) -> Invite:
    invite = session.get(Invite, invite_id)
    if invite is None or invite.project_id != project.id:
        raise NotFound(Sentence("There is no such invite."))
    return invite


ManagedInvite = Annotated[Invite, Depends(managed_invite)]


def readable_image(sha256: str, user: CurrentUser, session: SessionDep) -> Image:
    if not holds_image_for(session, user, sha256):
        raise NotFound(_NO_IMAGE)
    return session.get_one(Image, sha256)


ReadableImage = Annotated[Image, Depends(readable_image)]


def readable_project_image(sha256: str, project: ReadableProject, session: SessionDep) -> Image:
    held = session.get(ProjectImage, (project.id, sha256))
    is_withdrawn = held is not None and held.withdrawn_at is not None
    is_held = held is not None or find_picture_of(session, project.id, sha256) is not None
    if is_withdrawn or not is_held:
        raise NotFound(_NO_IMAGE)
    return session.get_one(Image, sha256)


ReadableProjectImage = Annotated[Image, Depends(readable_project_image)]


def _find_part(
    request: Request, session: Session, model: type[Part], part_id: int, missing: str
) -> PartAccess[Part]:
    """Returns what has this number, for a member of its project; one look-up for all."""
    access = let_in(
        request,
        session,
        lambda credential: find_part_access(session, model, part_id, credential),
        missing=missing,
        refuse=not_signed_in,
    )
    _require_member(request, access, missing)
    return access


def _find_managed(
    request: Request, session: Session, model: type[Part], part_id: int, missing: str
) -> Part:
    """Returns what has this number, for an admin of its project."""
    access = _find_part(request, session, model, part_id, missing)
    _require_admin(access)
    return access.part


def managed_round(request: Request, round_id: Id, session: SessionDep) -> Round:
    return _find_managed(request, session, Round, round_id, _NO_ROUND)


ManagedRound = Annotated[Round, Depends(managed_round)]


def listed_person(user_id: Id, session: SessionDep) -> User:
    """Returns an account of a person. Only behind AdminUser."""
    person = session.get(User, user_id)
    if person is None or person.kind is not UserKind.PERSON or person.erased_at is not None:
        raise NotFound(Sentence("There is no such account."))
    return person


ListedPerson = Annotated[User, Depends(listed_person)]


def managed_person(user_id: Id, project: ManagedProject, session: SessionDep) -> User:
    """Returns a member of the project, or somebody who was handed something there."""
    person = find_person(session, project.id, user_id)
    if person is None:
        raise NotFound(Sentence("Nobody of that number is a member here, or was handed anything."))
    return person


ManagedPerson = Annotated[User, Depends(managed_person)]


def managed_item(request: Request, item_id: Id, session: SessionDep) -> Item:
    return _find_managed(request, session, Item, item_id, _NO_ITEM)


ManagedItem = Annotated[Item, Depends(managed_item)]


def managed_run(request: Request, run_id: Id, session: SessionDep) -> Run:
    return _find_managed(request, session, Run, run_id, _NO_RUN)


ManagedRun = Annotated[Run, Depends(managed_run)]


def managed_lone_run(run: ManagedRun) -> Run:
    """Returns a run that no round hangs on; the others are cancelled and retried with
    their round.
    """
    if run.round_id is not None:
        raise RunOfRound(Sentence("This run belongs to a round: use the round's page."))
    return run


ManagedLoneRun = Annotated[Run, Depends(managed_lone_run)]


def managed_import_run(run: ManagedRun) -> Run:
    if run.job is not Job.IMPORT:
        raise NotFound(Sentence("This run is no import."))
    return run


ManagedImportRun = Annotated[Run, Depends(managed_import_run)]


def managed_release(request: Request, release_id: Id, session: SessionDep) -> Release:
    return _find_managed(request, session, Release, release_id, _NO_RELEASE)


ManagedRelease = Annotated[Release, Depends(managed_release)]


def managed_adapter(request: Request, adapter_id: Id, session: SessionDep) -> Adapter:
    """Returns an adapter, for an admin of the project that trained it."""
    return _find_managed(request, session, Adapter, adapter_id, _NO_ADAPTER)


ManagedAdapter = Annotated[Adapter, Depends(managed_adapter)]

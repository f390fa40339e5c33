"""Gates: each returns the object, or raises. Not there and not yours are both 404.

Members read their project; its admins, and administrators of the installation, manage it. What a
member may see but not do is 403.
"""

from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.kit.errors import Conflict, NotAllowed, NotFound
from app.kit.numbers import Id
from app.kit.sentences import Sentence
from app.lifecycle import Job, Role, UserKind
from app.models import (
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
from app.queries.projects.guidelines_pictures import find_picture_of
from app.queries.projects.projects import (
    find_membership,
    find_membership_by_id,
    find_project,
    holds_image_for,
)
from app.services.archived import require_open
from app.web.access.deps import CurrentUser, SessionDep
from app.web.assets.addresses import own_path

_NO_IMAGE = Sentence("There is no such image, or you are not a member of its project.")
_OF_THE_ARCHIVE = ("/archive", "/unarchive", "/delete")
_ADMINS_ONLY = Sentence("Only an admin of this project can do that.")


def find_role(session: Session, project: Project, user: User) -> Role | None:
    """Returns a person's role in a project, or None; the installation's admins are its admins."""
    if user.is_admin:
        return Role.ADMIN
    membership = find_membership(session, project.id, user.id)
    return membership.role if membership else None


def _keep_archived(request: Request, project: Project) -> None:
    """Refuse to change an archived project, other than to take it out or to delete it."""
    is_change = request.method not in {"GET", "HEAD"}
    if is_change and not own_path(request).endswith(_OF_THE_ARCHIVE):
        require_open(project)


def readable_project(
    slug: str, request: Request, user: CurrentUser, session: SessionDep
) -> Project:
    project = find_project(session, slug)
    if project is None or find_role(session, project, user) is None:
        raise NotFound(Sentence("There is no such project, or you are not a member of it."))
    _keep_archived(request, project)
    return project


ReadableProject = Annotated[Project, Depends(readable_project)]


def managed_project(project: ReadableProject, user: CurrentUser, session: SessionDep) -> Project:
    if find_role(session, project, user) != Role.ADMIN:
        raise NotAllowed(_ADMINS_ONLY)
    return project


ManagedProject = Annotated[Project, Depends(managed_project)]


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


def _role_in(request: Request, session: Session, project_id: int, user: User, missing: str) -> Role:
    project = session.get(Project, project_id)
    if project is not None and project.deletion_requested_at is not None:
        raise NotFound(missing)
    role = find_role(session, project, user) if project else None
    if project is None or role is None:
        raise NotFound(missing)
    _keep_archived(request, project)
    # The session forgets what nobody holds, and handlers ask for the project again.
    session.info["project"] = project
    return role


def readable_round(request: Request, round_id: Id, user: CurrentUser, session: SessionDep) -> Round:
    missing = Sentence("There is no such round, or you are not a member of its project.")
    round_ = session.get(Round, round_id)
    if round_ is None:
        raise NotFound(missing)
    _role_in(request, session, round_.project_id, user, missing)
    return round_


ReadableRound = Annotated[Round, Depends(readable_round)]


def managed_round(
    request: Request, round_: ReadableRound, user: CurrentUser, session: SessionDep
) -> Round:
    if _role_in(request, session, round_.project_id, user, "") != Role.ADMIN:
        raise NotAllowed(_ADMINS_ONLY)
    return round_


ManagedRound = Annotated[Round, Depends(managed_round)]


def listed_person(user_id: Id, session: SessionDep) -> User:
    """An account of a person. Only behind AdminUser."""
    person = session.get(User, user_id)
    if person is None or person.kind is not UserKind.PERSON or person.erased_at is not None:
        raise NotFound(Sentence("There is no such account."))
    return person


ListedPerson = Annotated[User, Depends(listed_person)]


def managed_item(request: Request, item_id: Id, user: CurrentUser, session: SessionDep) -> Item:
    missing = Sentence("There is no such item, or you are not a member of its project.")
    item = session.get(Item, item_id)
    if item is None:
        raise NotFound(missing)
    if _role_in(request, session, item.project_id, user, missing) != Role.ADMIN:
        raise NotAllowed(_ADMINS_ONLY)
    return item


ManagedItem = Annotated[Item, Depends(managed_item)]


def managed_run(request: Request, run_id: Id, user: CurrentUser, session: SessionDep) -> Run:
    missing = Sentence("There is no such run, or you are not a member of its project.")
    run = session.get(Run, run_id)
    if run is None:
        raise NotFound(missing)
    if _role_in(request, session, run.project_id, user, missing) != Role.ADMIN:
        raise NotAllowed(_ADMINS_ONLY)
    return run


ManagedRun = Annotated[Run, Depends(managed_run)]


def managed_lone_run(run: ManagedRun) -> Run:
    """A run that no round hangs on; the others are cancelled and retried with their round."""
    if run.round_id is not None:
        raise Conflict(Sentence("This run belongs to a round: use the round's page."))
    return run


ManagedLoneRun = Annotated[Run, Depends(managed_lone_run)]


def managed_import_run(run: ManagedRun) -> Run:
    if run.job is not Job.IMPORT:
        raise NotFound(Sentence("This run is no import."))
    return run


ManagedImportRun = Annotated[Run, Depends(managed_import_run)]


def managed_release(
    request: Request, release_id: Id, user: CurrentUser, session: SessionDep
) -> Release:
    missing = Sentence("There is no such release, or you are not a member of its project.")
    release = session.get(Release, release_id)
    if release is None:
        raise NotFound(missing)
    if _role_in(request, session, release.project_id, user, missing) != Role.ADMIN:
        raise NotAllowed(_ADMINS_ONLY)
    return release


ManagedRelease = Annotated[Release, Depends(managed_release)]

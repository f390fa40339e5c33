"""Rows of the history, one or more for each event, as every version so far has stored them."""

from typing import Any

from app.kit.sentences import Amount, Sentence, pack

REASON = pack(Sentence("The limit of %(n)s rounds is reached.", n=Amount(3)))
WORDING = {"question": "what is it?", "answer": "a ball"}

STORED: dict[str, list[tuple[dict[str, Any], str]]] = {
    "item:adjudicated": [
        (
            {"item_id": 3, "n_fits": 1, "n_misfits": 2},
            "Item 3 was adjudicated: 1 fit, 2 do not",
        )
    ],
    "item:adjudication:undone": [({"item_id": 3}, "The adjudication of item 3 was taken back")],
    "questions:decided": [
        (
            {"review_id": 3, "n_kept": 2, "n_edited": 1, "n_dropped": 4},
            "Questions asked of an image: 2 kept, 1 of them reworded, 4 dropped",
        )
    ],
    "judgement:traces:opened": [
        (
            {"judgement_id": 7},
            "Judgement 7: its author saw how the rationales came about",
        )
    ],
    "questions:taken_back": [
        (
            {"review_id": 3, "n_items": 2},
            "Decisions on the questions of an image taken back; items that are gone: 2",
        )
    ],
    "user:added": [
        ({"user_id": 5, "is_admin": False}, "Account 5 was added"),
        ({"user_id": 5, "is_admin": True}, "Account 5 was added, as an administrator"),
    ],
    "user:password:changed": [({"user_id": 5}, "The password of account 5 was changed")],
    "user:sessions:ended": [({"user_id": 5}, "Account 5 was signed out everywhere")],
    "user:disabled": [({"user_id": 5}, "Account 5 was closed")],
    "user:enabled": [({"user_id": 5}, "Account 5 was opened again")],
    "user:admin:granted": [({"user_id": 5}, "Account 5 became an administrator")],
    "user:admin:revoked": [({"user_id": 5}, "Account 5 is no administrator any more")],
    "user:sign-in-link:made": [({"user_id": 5}, "A sign-in link was made for account 5")],
    "user:reset-link:made": [
        ({"user_id": 5}, "A link to choose a new password was made for account 5")
    ],
    "user:link:used": [
        ({"user_id": 5, "is_reset": False}, "Account 5 signed in by a link"),
        ({"user_id": 5, "is_reset": True}, "Account 5 chose a new password by a link"),
    ],
    "user:token:created": [
        ({"user_id": 5, "name": "laptop"}, "Account 5 made the API token “laptop”"),
        ({"user_id": 5}, "Account 5 made an API token"),  # its author was erased
    ],
    "user:token:revoked": [({"user_id": 5}, "An API token of account 5 was revoked")],
    "user:erased": [
        (
            {"user_id": 5, "n_deleted": 1},
            "The person of account 5 was erased, and 1 judgement deleted",
        ),
        (
            {"user_id": 5, "n_deleted": 1200},
            "The person of account 5 was erased, and 1,200 judgements deleted",
        ),
    ],
    "dataset:import:finished": [
        (
            {"n_added": 2, "n_updated": 1, "n_images": 0},
            "Import finished: 2 items added, 1 item changed, 0 images stored",
        ),
        (
            {"n_added": 0, "n_updated": 0, "n_images": 1200, "n_pictures": 1200},
            "Import finished: 0 items added, 0 items changed, 1,200 images stored, 1,200 without "
            "questions",
        ),
    ],
    "prior:imported": [
        (
            {"n_episodes": 1200, "n_items": 900, "n_removed": 3},
            "The prior was imported: 1,200 episodes of 900 items",
        )
    ],
    "prior:removed": [({"n_episodes": 1}, "The prior was removed: 1 episode")],
    "item:excluded": [({"item_id": 7, "reason": "too blurred"}, "Excluded: too blurred")],
    "item:included": [({"item_id": 7}, "Included again")],
    "item:corrected": [
        (
            {"item_id": 7, "old": WORDING, "version": 2},
            "Corrected; it was “what is it?” – “a ball”",
        ),
        (
            {"item_id": 8, "old": WORDING, "version": 2, "replaced_id": 7},
            "Corrected; it was “what is it?” – “a ball”",
        ),
    ],
    "item:replaced": [({"item_id": 7, "replacement_id": 8}, "Replaced by its correction")],
    "item:content:changed": [
        (
            {
                "item_id": 7, "external_id": "q7", "version": 2,
                "old": {"facts": None}, "new": {"facts": {"color": "red"}},
            },
            "Changed by an import",
        )
    ],
    "item:slot:added": [
        (
            {"item_id": 7, "slots": 3},
            "People disagree about an item, so one more is asked: 3 in all",
        )
    ],
    "judgement:status:changed": [
        (
            {"judgement_id": 9, "old": "leased", "new": "submitted"},
            "Judgement 9: leased → submitted",
        ),
        (
            {"judgement_id": 9, "old": "draft", "new": "skipped", "reason": "blurred"},
            "Judgement 9: draft → skipped. blurred",
        ),
    ],
    "project:practice:changed": [
        ({"mode": "off", "pass_share": 0.8}, "Practice is off now"),
        ({"mode": "offered", "pass_share": 0.8}, "Practice is offered now"),
        (
            {"mode": "required", "pass_share": 1.0},
            "Practice is required now; passed with 100.0\u00a0% right",
        ),
    ],
    "project:practice:item_added": [({"item_id": 7}, "Item 7 became a practice item")],
    "project:practice:item_saved": [({"practice_item_id": 4}, "Practice item 4 saved")],
    "project:practice:item_removed": [({"item_id": 7}, "Item 7 is no practice item any more")],
    "project:check:added": [({"item_id": 7}, "Item 7 became a check item")],
    "project:check:retired": [({"item_id": 7}, "Item 7 is no check item any more")],
    "round:answers:withdrawn": [
        ({"user_id": 3, "n_answers": 1}, "1 answer of person 3 set apart"),
        ({"user_id": 3, "n_answers": 40}, "40 answers of person 3 set apart"),
    ],
    "round:answers:given_back": [
        ({"user_id": 3, "n_answers": 1}, "1 answer of person 3 counts again"),
        ({"user_id": 3, "n_answers": 40}, "40 answers of person 3 count again"),
    ],
    "round:comparison:requested": [
        ({"n_items": 1}, "Comparison of the adapters asked for, on 1 test item"),
        ({"n_items": 50}, "Comparison of the adapters asked for, on 50 test items"),
        (
            {"n_items": 1, "strategy": "monologue"},
            "Comparison of the adapters of monologue asked for, on 1 test item",
        ),
        (
            {"n_items": 50, "strategy": "direct"},
            "Comparison of the adapters of direct asked for, on 50 test items",
        ),
    ],
    "round:comparison:cancelled": [({}, "Comparison of the adapters cancelled")],
    "project:created": [({"name": "Scenes"}, "Project “Scenes” made")],
    "project:details:changed": [({}, "Name, description or licence of the project changed")],
    "project:settings:changed": [
        ({"changes": {"seed": [0, 3], "stop.floor": [None, 0.5]}},
         "Settings changed: seed, stop.floor"),
    ],
    "project:member:added": [
        ({"user_id": 5, "role": "annotator"},
         "Account 5 became a member, with the role annotator"),
    ],
    "project:member:changed": [
        ({"user_id": 5, "role": "admin"}, "Account 5 has the role admin now")
    ],
    "project:member:removed": [({"user_id": 5}, "Account 5 was taken out of the project")],
    "project:invite:created": [
        ({"role": "annotator"}, "Invite link made, for the role annotator"),
        (
            {"role": "annotator", "max_uses": 3},
            "Invite link made for 3 people, for the role annotator",
        ),
    ],
    "project:invite:revoked": [({"invite_id": 2}, "Invite link 2 revoked")],
    "project:guidelines:changed": [({"version": 4}, "Guidelines changed: version 4")],
    "project:guidelines_picture:added": [
        ({"number": 2, "image": "ab" * 32}, "Picture 2 added to the guidelines")
    ],
    "project:archived": [({}, "Project archived")],
    "project:unarchived": [({}, "Project taken out of the archive")],
    "project:deletion:requested": [
        (
            {"slug": "scenes", "n_items": 3, "n_judgements": 1, "releases": [1, 2]},
            "Deletion of the project scenes requested, with 3 items and 1 judgement",
        )
    ],
    "release:created": [
        ({"release_id": 3, "number": 2, "content_hash": "cd" * 32}, "Release 2 made")
    ],
    "round:created": [({"number": 1}, "Round made")],
    "round:status:changed": [({"old": "draft", "new": "generating"}, "draft → generating")],
    "round:judging:closed": [
        (
            {"n_rationales": 1, "n_items": 2},
            "Judging closed. Admitted: 1 rationale of 2 items",
        )
    ],
    "round:decided": [
        (
            {"decision": "round_limit", "reason": "Enough, says Ada."},
            "Decided: round limit. Enough, says Ada.",
        ),
        (
            {"decision": "round_limit", "reason": REASON},
            "Decided: round limit. The limit of 3 rounds is reached.",
        ),
    ],
    "base:pinned": [
        ({"base_model": "demo", "digest": "e" * 64}, "Base model pinned by its content")
    ],
    "base:changed": [
        (
            {"base_model": "demo", "old": "e" * 64, "new": "f" * 64},
            "Went on with a changed base model",
        )
    ],
    "model:proved": [
        ({"base_model": "demo", "digest": "e" * 64}, "The model was tried, and holds")
    ],
    "model:refused": [
        ({"base_model": "demo", "digest": "e" * 64}, "The model was tried, and refused")
    ],
    "run:status:queued": [({"run_id": 6, "job": "generate"}, "Sampling queued")],
    "run:status:running": [
        ({"run_id": 6, "job": "train"}, "Training running"),
        ({"run_id": 6, "job": "train", "role": "observer"}, "Training (observer) running"),
    ],
    "run:status:succeeded": [({"run_id": 6, "job": "evaluate"}, "Evaluation succeeded")],
    "run:status:failed": [({"run_id": 6, "job": "import"}, "Import failed")],
    "run:status:cancelled": [({"run_id": 6, "job": "release"}, "Release cancelled")],
    "run:cancel:requested": [({"run_id": 6}, "A run was asked to stop")],
}  # fmt: skip
"""By tag: details as this version and all before it have stored them, and what pages tell."""


ROWS = [(tag, details, told) for tag, many in STORED.items() for details, told in many]

"""The dataset card in words: where the rows come from, how far people agreed, who may use them."""

from collections.abc import Iterator
from typing import Any

from app.measures import LEVEL, Undefined
from app.models import Json
from app.round_settings import Judges
from app.services.projects.guidelines_pictures import with_files
from app.services.releases.formats.limits import known_limits
from app.services.releases.formats.pictures import guidelines_files


def render_readme(release: Json, *, front_matter: str, files: str) -> str:
    figures = release["figures"]
    sections = [
        f"# {release['project']}, release {release['number']}",
        release["description"].strip(),
        _summary(release),
        f"## Files\n\n{files.strip()}",
        f"## Where the rows come from\n\n{_rounds(release['rounds'])}",
        f"## Who judged\n\n{_judges(figures)}",
        f"## Agreement\n\n{_agreement(figures['agreement'])}{_measured(release)}",
        *_limits(release),
        f"## Privacy\n\n{_PRIVACY}",
        f"## Licence\n\n{_licence(release['licence'])}",
        f"## Guidelines of the annotators (version {release['guidelines_version']})\n\n"
        + (
            _quote(with_files(release["guidelines"], guidelines_files(release)))
            or "There are none."
        ),
    ]
    return front_matter + "\n\n".join(part for part in sections if part) + "\n"


_PRIVACY = (
    "Annotators appear under pseudonyms (HMAC-SHA256 with a secret of the project, which is in no "
    "release): the same person has the same one in all releases of this project. Names, comments "
    "and times of day are not part of a release. What critics (programs) said is never counted "
    "with what people said."
)


def _limits(release: Json) -> list[str]:
    """Older releases say nothing of them, and stay the same bytes."""
    if release.get("format", 1) < 4:
        return []
    listed = "\n".join(f"- {sentence}" for sentence in known_limits(release))
    return [
        f"## Known limits\n\n{listed}\n\n`croissant.json` describes the files and what stands "
        "here in JSON-LD (Croissant), for programs."
    ]


def _summary(release: Json) -> str:
    figures = release["figures"]
    per_split = ", ".join(f"{n:,} {name}" for name, n in figures["rationales_per_split"].items())
    lines = [
        f"- {figures['rationales']:,} admitted rationales"
        + (f" ({per_split})" if per_split else "")
        + f" for {figures['items_with_rationale']:,} of {figures['items']:,} judged items, "
        f"{figures['images']:,} images",
        f"- {figures['candidates'] - figures['rationales']:,} judged candidates that were not "
        "admitted",
        *_written(figures),
        *_merged(figures),
        *_cut(figures),
        *_adjudicated(figures),
        f"- {figures['items_in_doubt']:,} items whose answer most annotators called wrong: nothing "
        "of them is among the rationales",
        f"- {figures['tombstones']:,} rows of earlier releases were withdrawn",
        *_erased(figures),
        f"- made on {release['released_on']}, content hash `{release['content_hash']}`",
    ]
    previous = release["previous"]
    if previous:
        lines.append(f"- follows release {previous['number']} (`{previous['content_hash']}`)")
    return "\n".join(lines)


def _rounds(rounds: list[Json]) -> str:
    if not rounds:
        return "No round has been judged yet."
    intro = (
        "A vision-language model saw an image, a question and its answer and continued the answer "
        "into a rationale, several times per item. Judges picked those that fit; a policy on their "
        "votes admitted them; the model was fine-tuned on what was admitted, and the next round "
        "began with the better model (the method is ILLUME).\n\n"
        "| round | base model | sampled from | trained | openers | temperatures × draws | judges | "
        "admitted by |\n|---|---|---|---|---|---|---|---|"
    )
    rows = [
        "| "
        + " | ".join(
            _cell(value)
            for value in (
                round_["number"],
                _model(round_),
                _adapters(round_, "sampled_from") or "base model",
                _adapters(round_, "trained") or "nothing",
                "; ".join(f"`{opener}`" for opener in round_["openers"]),
                f"{', '.join(map(str, round_['temperatures']))} × {round_['n_samples']}",
                _who(round_),
                _admitted(round_),
            )
        )
        + " |"
        for round_ in rounds
    ]
    return "\n".join([intro, *rows])


def _adapters(round_: Json, name: str) -> str:
    """The adapters of a round, each with its role where there are several."""
    if "roles" not in round_:
        return _short(round_[name])
    found = {role: _short(entry[name]) for role, entry in round_["roles"].items()}
    return ", ".join(f"{role} {digest}" for role, digest in found.items() if digest)


def _model(round_: Json) -> str:
    """The base model of a round, and those of the roles that stand on another one."""
    own = [
        f"{role}: {_base(entry)}"
        for role, entry in round_.get("roles", {}).items()
        if "base_model" in entry
    ]
    return "; ".join([_base(round_), *own])


def _base(named: Json) -> str:
    revision = named["base_revision"] or named.get("base_digest")
    return f"{named['base_model']} ({revision})" if revision else str(named["base_model"])


def _who(round_: Json) -> str:
    who = f"{round_['overlap']} people per item"
    if not Judges(round_["judges"]).are_people:
        who = f"critic {round_['judges']}"
    if round_["control"] != "none":
        who += f", verdicts {round_['control']} as a control"
    if round_["training_source"] == "gold":
        who = "none: trained on gold rationales"
    if round_["training_source"] == "prior":
        who = "none: trained on the prior"
    return who


def _admitted(round_: Json) -> str:
    policy = str(round_["policy"])
    policy += "; trained on corrected texts too" if "trained_on_written" in round_ else ""
    if "trained_on_corrections" in round_:
        policy += "; trained on corrected observations too"
    if "trained_on_prior" in round_ and round_["training_source"] != "prior":
        policy += "; trained on the prior too"
    return policy


def _written(figures: Json) -> list[str]:
    n = figures.get("written", 0)
    return [f"- {n:,} candidates as annotators corrected them, apart from all others"] if n else []


def _erased(figures: Json) -> list[str]:
    n = figures.get("erased", 0)
    return [f"- {n:,} of these rows held texts of people who were erased since"] if n else []


def _cut(figures: Json) -> list[str]:
    n = figures.get("cut", 0)
    return [f"- {n:,} of the candidates (`is_cut`) end at the limit of tokens"] if n else []


def _adjudicated(figures: Json) -> list[str]:
    decided = figures.get("adjudicated")
    if not decided:
        return []
    return [
        f"- on {decided['candidates']:,} of the candidates (`adjudications`) people differed, and "
        f"an adjudicator decided, whatever the votes say: {decided['fit']:,} fit"
    ]


def _merged(figures: Json) -> list[str]:
    merged = figures.get("merged_by_older_rule")
    if not merged:
        return []
    return [
        f"- {merged['candidates']:,} of the candidates (`merged_by_older_rule`) were drawn more "
        "than once while texts that differ only in marks, signs or symbols (“-5”, “5”) were one: "
        f"some of their {merged['draws']:,} draws may have read so, and their verdicts are of the "
        "text that stands in the row"
    ]


def _judges(figures: Json) -> str:
    people, critics = figures["people"], figures["critics"]
    if people["judgements"]:
        lines = [
            f"{people['annotators']:,} people gave {people['judgements']:,} judgements "
            f"({people['verdicts']:,} verdicts on single candidates) in "
            f"{people['active_minutes']:,} minutes of active time. In {people['none_fits']:,} of "
            f"them no candidate fitted, in {people['answer_is_wrong']:,} the answer was wrong."
        ]
        lines += _faults("People", people["faults"])
    else:
        lines = ["No person judged."]
    if critics["judgements"]:
        lines.append(
            f"Critics, that is programs ({', '.join(critics['names'])}), gave "
            f"{critics['judgements']:,} judgements ({critics['verdicts']:,} verdicts). In "
            f"{critics['none_fits']:,} of them no candidate fitted."
        )
        lines += _faults("Critics", critics["faults"])
    return "\n\n".join(lines)


def _faults(who: str, faults: dict[str, int]) -> list[str]:
    if not faults:
        return []
    listed = ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in faults.items())
    return [f"{who} named these faults: {listed}."]


def _agreement(agreement: Json) -> str:
    candidates, items = agreement["on_candidates"], agreement["on_items"]
    if not items["n"]:
        return (
            "Undefined: no item was judged by two or more people, so nothing can be said about how "
            "far people agree."
        )
    lines = [
        f"- On items: of {items['n']:,} judged by two or more people in a round, "
        f"{items['n_same']:,} ({_percent(items)}) got exactly the same picks from all."
    ]
    if candidates["n"]:
        lines.append(
            f"- On single candidates: of {candidates['n']:,} judged by two or more people, "
            f"{candidates['n_same']:,} ({_percent(candidates)}) got the same verdict from all."
        )
    else:
        lines.append("- On single candidates it is undefined: none has verdicts of two people.")
    lines.append("\nThis is the plain share of full agreement; it is not corrected for chance.")
    return "\n".join(lines)


def _measured(release: Json) -> str:
    """What was measured of the agreement in each round; older releases tell none."""
    rows = [
        (one["round"], one["agreement"])
        for one in release.get("evidence", ())
        if "agreement" in one
    ]
    if not rows:
        return "".join(_on_people(release))
    lines = [
        "\n\nCorrected for chance, round by round, each with an interval of 95 % over resampled "
        "items (1 is full agreement, 0 what chance alone would bring):\n",
        "| round | people | items | alpha of verdicts | alpha of picked sets (MASI) | "
        "Fleiss' kappa | Cohen's kappa |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {number} | {told['n_people']} | {told['n_items']:,} | "
            + " | ".join(_figure(told[name]) for name in ("alpha", "masi", "fleiss", "cohen"))
            + " |"
            for number, told in rows
        ),
    ]
    return "\n".join(lines) + "".join(_on_people(release))


def _on_people(release: Json) -> Iterator[str]:
    """Whether positions drew picks, and what check items say, each where something is known."""
    positions = [
        f"- round {one['round']}: {_position(one['positions'])}"
        for one in release.get("evidence", ())
        if "positions" in one
    ]
    if positions:
        yield "\n\nWhether people picked for where a text stood (permutation test):\n\n"
        yield "\n".join(positions)
    checks = [
        f"- round {one['round']}: {told['lowest']:.2f} / {told['median']:.2f} / "
        f"{told['highest']:.2f} of {told['n_people']}"
        for one in release.get("evidence", ())
        if (told := one.get("checks"))
    ]
    if checks:
        yield (
            "\n\nScores of people on items whose verdicts were known (sensitivity + specificity "
            "- 1; 1 is always right, 0 is chance), lowest / median / highest:\n\n"
        )
        yield "\n".join(checks)


def _position(told: Json) -> str:
    if told["p"] is None:
        return "not tested: nobody picked some texts and not others"
    effect = told["effect"]
    found = "yes" if told["p"] < LEVEL else "no sign of it"
    return (
        f"{found} (p {told['p']:.3f}; most unlike chance is place {effect['position']}, picked "
        f"{effect['seen']:.0%} of the time where {effect['expected']:.0%} were expected)"
    )


_WHY_UNDEFINED = {
    Undefined.NOTHING: "nobody judged",
    Undefined.ONE_PERSON: "one person judged",
    Undefined.NO_OVERLAP: "no two people judged the same",
    Undefined.ALL_SAME: "everybody always said the same",
    Undefined.NOT_TWO: "more than two people judged",
}


def _figure(figure: Json) -> str:
    if figure["value"] is None:
        return f"undefined: {_WHY_UNDEFINED[Undefined(figure['undefined'])]}"
    text = f"{figure['value']:.2f}"
    if figure["low"] is not None and figure["high"] is not None:
        text += f" ({figure['low']:.2f} to {figure['high']:.2f})"
    return text


def _licence(licence: str) -> str:
    return licence.strip() or (
        "No licence was stated. Ask the owners of the project, and those of the images, before "
        "you use the data."
    )


def _percent(agreement: Json) -> str:
    return f"{100 * agreement['n_same'] / agreement['n']:.1f} %"


def _short(digest: str | None) -> str:
    return f"`{digest[:12]}`" if digest else ""


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())

"""A model's report as lines for people."""

from collections.abc import Iterator, Sequence

from app.strategies import STRATEGIES
from worker.ml.abilities import Ability
from worker.ml.check import CheckedItem, ModelReport
from worker.ml.types import Sampled
from worker.strategies import PROCEDURES

_WIDTH, _SHOWN = 26, 8
_MARKS = {True: "ok ", False: "NOT"}
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def report_lines(asked_for: str, report: ModelReport) -> Iterator[str]:
    """Yields the lines that `illume model check` prints for the model that was asked for."""
    kind = "a chat model" if report.is_chat else "a plain model, without a chat template"
    yield _entry("Model", f"{asked_for} ({report.family}, {kind})")
    yield _entry("Revision", report.revision)
    yield _entry("Device", f"{report.device}, numbers as {report.dtype}")
    yield ""
    yield "The proof, on rendered scenes"
    for line in report.proof:
        yield f"  {_MARKS[line.holds]} {line.text}"
    if report.reason is None:
        yield from _strategy_lines(report)
        yield from _use_lines(report)
    yield ""
    took = f"The check took {report.seconds:.1f} seconds."
    if report.reason is None:
        yield f"This model can be used. {took}"
    else:
        yield f"This model cannot be used. {took}"


def _strategy_lines(report: ModelReport) -> Iterator[str]:
    yield ""
    yield "Strategies"
    for name, procedure in PROCEDURES.items():
        yield _needs_line(name, procedure.needs, report)
        for role in STRATEGIES[name].roles:
            if (needs := procedure.needs_of(role)) != procedure.needs:
                yield _needs_line(f"{name}, as the {role} beside another model", needs, report)
        for one in procedure.may_need:
            reason = report.lacks[one]
            yield f"  {_MARKS[reason is None]} {name} with {one}{f': {reason}' if reason else ''}"


def _needs_line(what: str, needs: Sequence[Ability], report: ModelReport) -> str:
    reasons = [reason for one in needs if (reason := report.lacks[one])]
    return f"  {_MARKS[not reasons]} {what}{''.join(f': {reason}' for reason in reasons)}"


def _use_lines(report: ModelReport) -> Iterator[str]:
    yield ""
    yield "Where LoRA would learn"
    for target in report.targets:
        yield _entry(
            f"  {target.part}",
            f"{target.n_modules} modules ({', '.join(target.names)}), "
            f"{target.lora_parameters:,} parameters",
        )
    if report.unread:
        yield _entry("  nowhere in", f"{_listed(report.unread)}, which the model never reads")
    yield ""
    yield "Memory"
    yield _entry("  weights", f"{_size(report.weight_bytes)} ({report.parameters:,} parameters)")
    yield _entry(
        "  training an adapter",
        f"{_size(report.adapter_training_bytes)} beside the weights, and activations",
    )
    yield _entry("  a text being sampled", f"{_size(report.bytes_per_sampled_row)} each")
    if report.free_device_bytes is not None:
        yield _entry("  free on the device", _size(report.free_device_bytes))
    shared = "read once for all their samples" if report.shares_prompts else "read for each sample"
    yield _entry("  picture and question", shared)
    yield ""
    yield "A training row, as the model reads it"
    yield f"  {report.train_text!r}"
    yield ""
    yield "Samples: the answer to a question, then a rationale for that answer"
    for number, item in enumerate(report.items, start=1):
        yield from _item_lines(number, item)


def _item_lines(number: int, item: CheckedItem) -> Iterator[str]:
    yield f"  {number}. {item.question}"
    yield _entry("     prompt", repr(item.answer_prompt))
    yield _entry("     answer", _said(item.answer))
    yield _entry("     prompt", repr(item.rationale_prompt))
    yield _entry("     rationale", _said(item.rationale))


def _said(sampled: Sampled) -> str:
    figure = ""
    if sampled.log_probability is not None:
        figure = f" ({sampled.n_tokens} tokens, log-probability {sampled.log_probability:.2f})"
    if sampled.is_cut:
        figure += ", cut at the limit of tokens"
    return f"{sampled.text!r}{figure}"


def _listed(names: Sequence[str]) -> str:
    """Names for a line, the first ones of many."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _entry(name: str, value: str) -> str:
    return f"{name:<{_WIDTH}}{value}"


def _size(n_bytes: int) -> str:
    size, unit = float(n_bytes), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"

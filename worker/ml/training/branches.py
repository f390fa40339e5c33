"""Examples of one item share what they have in common: one sequence that branches like a tree.

    [image question] [answer opener] [rationale 1] [rationale 2] …

An example is a path from the question to an end; where two examples go on with the same piece they
go on together, whatever the pieces are. The positions of every branch go on from the end of what it
follows, and the attention mask hides branches from each other, so that each token sees exactly what
it would see in a row of its own, and the losses and gradients are the same up to rounding. A piece
that several examples share is computed once and counts for each of them.

Models take the mask through transformers' own way in for custom masks (four dimensions, or one per
kind of layer). Which parts of a prompt see each other from both sides (PaliGemma's prompt, Gemma
3's images) is the family's business; the known rules are tried, and the one that comes closest to
the model's own logits is kept. A model for which none gives them gets a row per example.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from worker.ml.inputs.encode import Row, Tensors, collate
from worker.ml.inputs.perceiving import perceive
from worker.ml.model.loading import Vlm
from worker.ml.model.memory import is_out_of_memory
from worker.ml.same_logits import difference, is_rounding
from worker.ml.training.losses import Encoded, Losses, Piece, Targets, asked_logits, mean_losses
from worker.ml.training.pointing import point_losses
from worker.ml.types import POINTING, Box

logger = logging.getLogger(__name__)

RULE = "branch_rule"  # in vlm.memo: the name of the rule that holds for the model, None if none


@dataclass(frozen=True, eq=False)
class Node:
    """A piece in a tree. start: the column of its first token; parent: the number of the node that
    it follows, None where it follows the context; paths: the numbers of the examples through it."""

    piece: Piece
    start: int
    parent: int | None
    paths: tuple[int, ...]

    @property
    def stop(self) -> int:
        """The column behind its last token."""
        return self.start + len(self.piece.tokens)


@dataclass(frozen=True, eq=False)
class Tree:
    """Token sequences of one context as a single one: `row` is the context and the tokens of all
    nodes, each before those that follow it. indices: the example of each path; boxes: where the
    question of each is to look."""

    row: Row
    nodes: tuple[Node, ...]
    indices: tuple[int, ...]
    boxes: tuple[tuple[Box, ...], ...]

    @property
    def n_context(self) -> int:
        """Returns how many tokens stand before the first node."""
        return self.row.length - len(self.row.continuation)

    @property
    def has_branches(self) -> bool:
        """Whether any node stands elsewhere than right behind the one that it follows."""
        return any(node.start != self._end_of(node.parent) for node in self.nodes)

    def targets(self, node: Node) -> Targets:
        """Returns what is learned of a node, each at the column whose logits are asked."""
        targets = node.piece.targets(node.start)
        if not targets:
            return ()
        return ((self._end_of(node.parent) - 1, targets[0][1]), *targets[1:])

    def _end_of(self, number: int | None) -> int:
        return self.n_context if number is None else self.nodes[number].stop


@dataclass(eq=False)
class _Growing:
    """A node while sequences are joined."""

    piece: Piece | None
    paths: list[int] = field(default_factory=list)
    children: "dict[Piece, _Growing]" = field(default_factory=dict)


def join(sequences: Sequence[Encoded]) -> Tree:
    """Returns the tree of some sequences of one context."""
    root = _Growing(None)
    for path, sequence in enumerate(sequences):
        at = root
        for piece in sequence.pieces:
            at = at.children.setdefault(piece, _Growing(piece))
            at.paths.append(path)
    first = sequences[0]
    nodes: list[Node] = []

    def place(growing: _Growing, parent: int | None, start: int) -> int:
        """Places what follows a node from column `start` on; returns the column behind it all."""
        for piece, child in growing.children.items():
            nodes.append(Node(piece, start, parent, tuple(child.paths)))
            start = place(child, len(nodes) - 1, start + len(piece.tokens))
        return start

    place(root, None, first.n_context)
    tokens = tuple(token for node in nodes for token in node.piece.tokens)
    return Tree(
        row=replace(first.row, continuation=tokens),
        nodes=tuple(nodes),
        indices=tuple(sequence.index for sequence in sequences),
        boxes=tuple(sequence.boxes for sequence in sequences),
    )


def tree_losses(
    vlm: Vlm, model: Any, forward: Sequence[Tree], names: Sequence[str]
) -> tuple[Losses, list[int]]:
    """Returns the losses of the examples of some trees of equal signature, by one forward, and the
    examples' indices in the same order. An example that needed two sequences stands there twice.
    Differentiable. names: the losses of the set that is trained on."""
    perceived = perceive(vlm, [tree.row for tree in forward])
    forward = [replace(tree, row=row) for tree, row in zip(forward, perceived.rows, strict=True)]
    asked = []
    slots, places = [], []  # which mean goes where in (names, rows)
    n_means, n_rows = 0, 0
    indices = [index for tree in forward for index in tree.indices]
    for number, tree in enumerate(forward):
        for node in tree.nodes:
            if node.piece.loss is None:
                continue
            asked += [(number, at, token, n_means) for at, token in tree.targets(node)]
            line = names.index(node.piece.loss) * len(indices)
            places += [line + n_rows + path for path in node.paths]
            slots += [n_means] * len(node.paths)
            n_means += 1
        n_rows += len(tree.indices)
    means = mean_losses(vlm, model, tree_batch(vlm, forward), asked, n_means)
    flat = torch.zeros(len(names) * n_rows, device=vlm.device)
    given = means.index_select(0, torch.tensor(slots, device=vlm.device))
    pointed = point_losses(perceived.looked, [tree.boxes for tree in forward])
    if pointed and POINTING in names:
        places += [names.index(POINTING) * len(indices) + row for row in pointed]
        given = torch.cat([given, torch.stack(list(pointed.values()))])
    where = torch.tensor(places, device=vlm.device)
    losses = Losses(
        names=tuple(names),
        values=flat.index_add(0, where, given).view(len(names), n_rows),
        counts=flat.index_add(0, where, torch.ones_like(given)).view(len(names), n_rows),
    )
    return losses, indices


def tree_batch(vlm: Vlm, forward: Sequence[Tree]) -> dict[str, Any]:
    """Returns the model's inputs. Without a branch anywhere they are those of plain rows."""
    batch: dict[str, Any] = collate(vlm, [tree.row for tree in forward], pad="right")
    if not any(tree.has_branches for tree in forward):
        return batch
    width = batch["input_ids"].shape[1]
    parts, leads, offsets = (made.to(vlm.device) for made in _shape(forward, width))
    rows = torch.arange(len(forward), device=vlm.device).view(-1, 1, 1)
    on_path = leads[rows, parts.unsqueeze(2), parts.unsqueeze(1)]
    positions = vlm.model._prepare_position_ids_for_generation(batch["input_ids"], batch) - offsets
    index = torch.arange(width, device=vlm.device) - offsets
    blocks = _RULES[vlm.memo[RULE]](batch)
    return batch | {
        "position_ids": positions,
        "attention_mask": _mask(vlm, on_path, index, blocks),
    }


def _shape(forward: Sequence[Tree], width: int) -> tuple[torch.Tensor, ...]:
    """The shape of some trees of at most `width` columns, with parts numbered from 0, the context,
    over the nodes to one more for padding: (rows, width), the part of each token; (rows, parts,
    parts), whether a part's path leads through another; and (rows, width), how far a token stands
    behind the place it would have in a row of its own."""
    n_parts = max(len(tree.nodes) for tree in forward) + 2
    parts = torch.full((len(forward), width), n_parts - 1)
    leads = torch.zeros((len(forward), n_parts, n_parts), dtype=torch.bool)
    offsets = torch.zeros((len(forward), width), dtype=torch.long)
    for row, tree in enumerate(forward):
        parts[row, : tree.n_context] = 0
        leads[row, 0, 0] = True
        stops, shifts = [tree.n_context], [0]
        for part, node in enumerate(tree.nodes, start=1):
            parent = 0 if node.parent is None else node.parent + 1
            stops.append(node.stop)
            shifts.append(shifts[parent] + node.start - stops[parent])
            parts[row, node.start : node.stop] = part
            leads[row, part] = leads[row, parent]
            leads[row, part, part] = True
            offsets[row, node.start : node.stop] = shifts[part]
    return parts, leads, offsets


def _mask(vlm: Vlm, on_path: torch.Tensor, index: torch.Tensor, blocks: torch.Tensor) -> Any:
    """The mask in the shape that the model's layers ask for: (rows, 1, width, width), or one such
    for each kind of layer. on_path: (rows, width, width), whether a token's path leads through
    another one; index: (rows, width), the place of each token on its path."""
    distance = index.unsqueeze(2) - index.unsqueeze(1)
    same_block = (blocks.unsqueeze(2) == blocks.unsqueeze(1)) & (blocks.unsqueeze(2) >= 0)
    seen = ((distance >= 0) & on_path) | same_block
    kinds, window = layer_kinds(vlm)
    masks = {}
    for kind in kinds:
        allowed = seen & (distance < window) if kind == "sliding_attention" else seen.clone()
        allowed[:, :, 0] |= ~on_path.any(2)  # who sees nothing has a softmax that is no number
        masks[kind] = _as_asked(vlm, allowed.unsqueeze(1))
    return masks if len(masks) > 1 else masks[kinds[0]]


def _as_asked(vlm: Vlm, allowed: torch.Tensor) -> torch.Tensor:
    """Returns the mask as truth values where torch's own attention takes them, else as summands."""
    if vlm.model.config._attn_implementation == "sdpa":
        return allowed
    hidden = torch.finfo(vlm.dtype).min
    return torch.zeros(allowed.shape, dtype=vlm.dtype, device=allowed.device).masked_fill(
        ~allowed, hidden
    )


def layer_kinds(vlm: Vlm) -> tuple[list[str], int]:
    """Returns the kinds of attention layers of the language model, sorted, and its
    sliding window.
    """
    text = vlm.model.config.get_text_config(decoder=True)
    window = getattr(text, "sliding_window", None)
    by_config = "sliding_attention" if window else "full_attention"
    kinds = sorted(set(getattr(text, "layer_types", None) or [by_config]))
    return kinds, window or 0


# ----------------------------------------------------------- what sees itself from both sides
def _nothing(batch: Tensors) -> torch.Tensor:
    return torch.full_like(batch["input_ids"], -1)


def _prompt(batch: Tensors) -> torch.Tensor:
    """PaliGemma: tokens of type 0 (image and prompt) are one block."""
    block = torch.where(batch["token_type_ids"] == 0, 0, -1)
    return block.masked_fill(batch["attention_mask"] == 0, -1)


def _images(batch: Tensors) -> torch.Tensor:
    """Gemma 3: each run of tokens of type 1 (an image) is a block."""
    is_image = batch["token_type_ids"] == 1
    begins = is_image & ~torch.nn.functional.pad(is_image, (1, 0))[:, :-1]
    return torch.where(is_image, begins.cumsum(1), -1)


_RULES: dict[str, Callable[[Tensors], torch.Tensor]] = {
    "causal": _nothing,
    "two-sided prompt": _prompt,
    "two-sided images": _images,
}


def can_branch(vlm: Vlm, sequences: Sequence[Encoded]) -> bool:
    """Whether examples of one item can pass through the model as one sequence.

    Tried once on `sequences` (at least two, of one context, that differ) and on a longer copy of
    them, so that one tree is padded; then remembered.
    """
    if RULE not in vlm.memo:
        vlm.memo[RULE] = _find_rule(vlm, sequences)
        logger.info("Model %s shares prompts among examples: %s", vlm.name, vlm.memo[RULE])
    return vlm.memo[RULE] is not None


def _find_rule(vlm: Vlm, sequences: Sequence[Encoded]) -> str | None:
    if vlm.model.config._attn_implementation not in {"sdpa", "eager"}:
        return None
    if not set(layer_kinds(vlm)[0]) <= {"full_attention", "sliding_attention"}:
        return None
    longer = [_longer(sequence) for sequence in sequences]
    joined = [join(sequences), join(longer)]
    with torch.no_grad():
        expected = torch.cat(
            [
                asked_logits(
                    vlm,
                    vlm.model,
                    collate(vlm, [sequence.row], pad="right"),
                    [(0, at) for at, _ in sequence.targets],
                )
                for sequence in (*sequences, *longer)
            ]
        )
    places = [
        (number, at)
        for number, tree in enumerate(joined)
        for path in range(len(tree.indices))
        for node in tree.nodes
        if path in node.paths
        for at, _ in tree.targets(node)
    ]
    names = _RULES if "token_type_ids" in sequences[0].row.text else ["causal"]
    found = {name: _try(vlm, name, joined, places, expected) for name in names}
    best = min(found, key=lambda name: found[name])
    return best if is_rounding(found[best], vlm.dtype) else None


def _try(
    vlm: Vlm,
    rule: str,
    joined: Sequence[Tree],
    places: Sequence[tuple[int, int]],
    expected: torch.Tensor,
) -> float:
    """Returns how far the logits are from the expected ones; infinity where the rule fails."""
    vlm.memo[RULE] = rule
    try:
        with torch.no_grad():
            got = asked_logits(vlm, vlm.model, tree_batch(vlm, joined), places)
    except Exception as error:  # a family may object in any way it likes
        if is_out_of_memory(error):
            raise
        logger.info("A shared prompt failed with %s: %s", type(error).__name__, error)
        return math.inf
    found = difference(got, expected)
    return found if not math.isnan(found) else math.inf


def _longer(sequence: Encoded) -> Encoded:
    """The same with a last piece that says its last token once more."""
    *others, last = sequence.pieces
    again = replace(last, tokens=(*last.tokens, last.tokens[-1]))
    tokens = (*sequence.row.continuation, last.tokens[-1])
    return replace(
        sequence, row=replace(sequence.row, continuation=tokens), pieces=(*others, again)
    )

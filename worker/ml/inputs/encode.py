"""Turns prompts into tensors: row by row through the family's own processor, then in batches.

A *row* is a context with its image (by the processor) followed by continuation tokens (by the
tokenizer). Rows are batched by putting their tensors together along the first axis, which is what
processors do themselves; rows whose image tensors do not fit together (another number of tiles,
say) go into different batches: see `signature`.
"""

import warnings
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from app.pictures.seeing import PictureError, see
from worker.ml.errors import ImageError, MlError, ModelUnusableError, PromptError, first_line
from worker.ml.inputs.prompts import PromptText, frame_of
from worker.ml.model.literal import reading_breaks, token_ids
from worker.ml.model.loading import Reader, Vlm
from worker.ml.model.memory import is_out_of_memory

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Row:
    """text: tensors with one column per token, each of shape (1, n_context, ...), input_ids and
    attention_mask among them; image: all others (pixel_values, grids, masks). continuation: further
    token ids."""

    text: Tensors
    image: Tensors
    continuation: tuple[int, ...]

    @property
    def length(self) -> int:
        return self.text["input_ids"].shape[1] + len(self.continuation)

    @property
    def n_bytes(self) -> int:
        return _size((self.text, self.image))

    @property
    def signature(self) -> tuple[Any, ...]:
        """Rows with equal signatures can share a batch: equal names, types and inner shapes."""
        return tuple(
            (name, tensor.dtype, tensor.shape[1:]) for name, tensor in sorted(self.image.items())
        )


class RowEncoder:
    """Encodes rows and remembers the newest contexts, since the same image and question come back
    with other continuations, temperatures and epochs. Holds at most `max_bytes` of tensors."""

    def __init__(self, vlm: Vlm | Reader, max_bytes: int = 512 * 2**20) -> None:
        self._vlm = vlm
        self._max_bytes = max_bytes
        self._bytes = 0
        self._known: OrderedDict[tuple[object, ...], tuple[Tensors, Tensors]] = OrderedDict()

    def row(self, image: Path | None, text: PromptText, more: Sequence[int] = ()) -> Row:
        """Returns the row of one prompt; `more`: token ids after its continuation."""
        of_text, of_image = self.context(image, text.context)
        ids = continuation_ids(self._vlm.tokenizer, text.context, text.continuation)
        return Row(of_text, of_image, (*ids, *more))

    def fitting_row(
        self, image: Path | None, text: PromptText, more: Sequence[int] = (), *, room: int = 0
    ) -> Row:
        """Returns the row as `row` does. Raises PromptError where the row, and `room` tokens that
        may be written after it, are more than the model has places for.
        """
        row = self.row(image, text, more)
        check_length(self._vlm, row.length, room=room)
        return row

    def context(self, image: Path | None, context: str) -> tuple[Tensors, Tensors]:
        """Returns the tensors of (image, context) on the CPU: those per token, and the others, of
        which there are none where image is None. Raises ImageError, PromptError, and
        ModelUnusableError where the model's processor takes no such prompt at all."""
        key = (image, _file_mark(image), context)
        if (found := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            return found
        made = self._encode(image, context)
        self._known[key] = made
        self._bytes += _size(made)
        while self._bytes > self._max_bytes and len(self._known) > 1:
            self._bytes -= _size(self._known.popitem(last=False)[1])
        return made

    def _encode(self, image: Path | None, context: str) -> tuple[Tensors, Tensors]:
        picture = read_image(image) if image is not None else None
        try:
            made = process(self._vlm, picture, context)
        except Exception as error:  # a family's processor may object in any way it likes
            if is_out_of_memory(error):
                raise
            raise self._refusal(error, image, context) from error
        made.pop("labels", None)
        tensors = {name: value for name, value in made.items() if isinstance(value, torch.Tensor)}
        n_tokens = tensors["input_ids"].shape[1]
        of_text = {
            name: tensor
            for name, tensor in tensors.items()
            if tensor.ndim >= 2
            and tensor.shape[:2] == (1, n_tokens)
            and name.endswith(("input_ids", "attention_mask", "token_type_ids"))
            and not name.startswith(("pixel", "qformer"))  # a Q-Former's text has its own length
        }
        of_text.setdefault("attention_mask", torch.ones_like(tensors["input_ids"]))
        return of_text, {name: t for name, t in tensors.items() if name not in of_text}

    def _refusal(self, error: Exception, image: Path | None, context: str) -> MlError:
        """Who is to blame where the processor refuses a picture with a prompt, found by trying each
        of them with another partner: the picture, the prompt, or the way we write prompts."""
        grey = Image.new("RGB", (224, 224), (128, 128, 128))
        says = first_line(error)
        if image is None:
            without = frame_of(self._vlm, NEUTRAL_QUESTION, sees=False).context
            if _is_taken(self._vlm, None, without):
                return PromptError(f"The model's processor refuses the item's texts: {says}")
            return ModelUnusableError(
                f"The model's processor takes no prompt without a picture: {says} Use another "
                "model for what is asked without one."
            )
        if _is_taken(self._vlm, grey, context):
            return ImageError(
                f"The model's processor refuses the image {image.name}: {says} "
                "Replace it, or exclude the items that show it.",
                image,
            )
        if _is_taken(self._vlm, grey, frame_of(self._vlm, NEUTRAL_QUESTION).context):
            return PromptError(f"The model's processor refuses the item's texts: {says}")
        return ModelUnusableError(
            f"The model's processor takes no prompt as this program writes it, not even "
            f"“{NEUTRAL_QUESTION}” on a grey picture: {says} Use another model."
        )


NEUTRAL_QUESTION = "What is it?"


def process(vlm: Vlm | Reader, picture: Image.Image | None, context: str) -> Any:
    """Returns what the family's processor makes of a prompt, with or without a picture."""
    bos = vlm.tokenizer.bos_token
    # A chat template that writes the first token itself must not get a second one.
    options = {"add_special_tokens": False} if bos and context.startswith(bos) else {}
    with warnings.catch_warnings(), reading_breaks(vlm.processor, context):
        # PaliGemma's processor hands torch tensors to numpy in a way that numpy 2 bemoans.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        images = {} if picture is None else {"images": [picture]}
        return vlm.processor(**images, text=[context], return_tensors="pt", **options)


def _is_taken(vlm: Vlm | Reader, picture: Image.Image | None, context: str) -> bool:
    try:
        process(vlm, picture, context)
    except Exception as error:  # as above
        if is_out_of_memory(error):
            raise
        return False
    return True


def encoder_of(vlm: Vlm) -> RowEncoder:
    """Returns the encoder of a loaded model: one for all calls, so that an image that was asked for
    its answer is not read again for its rationale.
    """
    encoder: RowEncoder = vlm.memo.setdefault("encoder", RowEncoder(vlm))
    return encoder


def _file_mark(path: Path | None) -> tuple[int, int] | None:
    """Tells a file that was written anew from the one that is remembered."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None  # reading it will say what is wrong
    return found.st_mtime_ns, found.st_size


def read_image(path: Path) -> Image.Image:
    """Returns the picture as people see it, as RGB. Raises ImageError if it cannot be read."""
    try:
        return see(path)
    except PictureError as error:
        raise ImageError(
            f"The image {path.name} cannot be read: {error.reason} "
            "Replace it, or exclude the items that show it.",
            path,
        ) from error


def continuation_ids(tokenizer: Any, context: str, continuation: str) -> tuple[int, ...]:
    """Returns the tokens that `continuation` adds after `context`.

    They are found by tokenizing both together, since a tokenizer may treat the beginning of a text
    differently from its middle; where the joint tokens do not begin with the context's own, the
    continuation is tokenized alone.
    """
    if not continuation:
        return ()
    before = token_ids(tokenizer, context)
    whole = token_ids(tokenizer, context + continuation)
    if whole[: len(before)] == before:
        return tuple(whole[len(before) :])
    return tuple(token_ids(tokenizer, continuation))


def end_ids(vlm: Vlm, end: str) -> tuple[int, tuple[int, ...]]:
    """Returns (the token that ends the model's words in training, all tokens that end a sample).

    `end`: what the chat template writes after the assistant's words. Its first token is the end if
    it is a special one ("<|im_end|>"); otherwise, and for plain models, it is the tokenizer's own.
    """
    tokenizer = vlm.tokenizer
    configured = vlm.model.generation_config.eos_token_id
    stops = [configured] if isinstance(configured, int) else list(configured or [])
    if tokenizer.eos_token_id is not None:
        stops.append(tokenizer.eos_token_id)
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder, *stops}
    first = token_ids(tokenizer, end)[:1]
    ends_turn = bool(first) and first[0] in special
    if ends_turn:
        stops.append(first[0])
    if not stops:
        raise MlError("The model's tokenizer names no end token; set eos_token in its folder.")
    end_id = first[0] if ends_turn else (tokenizer.eos_token_id or stops[0])
    return end_id, tuple(sorted(set(stops)))


def check_length(vlm: Vlm | Reader, n_tokens: int, *, room: int = 0) -> None:
    """Raises PromptError where the model has no positions for so many tokens and `room` more.
    Beyond them learned positions end with an error and rotary ones in nonsense."""
    places = getattr(vlm.config.get_text_config(decoder=True), "max_position_embeddings", None)
    if not isinstance(places, int) or not 0 < places < n_tokens + room:
        return
    written = f" and up to {room} more are written" if room else ""
    raise PromptError(
        f"With its picture the item's texts have {n_tokens} tokens{written}, but the model has "
        f"places for {places}. Shorten its texts, or let the model write fewer."
    )


def collate(vlm: Vlm, rows: Sequence[Row], *, pad: str) -> Tensors:
    """Returns one batch of rows of equal signature on the model's device; pad: "left" or "right".

    input_ids and attention_mask: (rows, longest); attention is 0 on padding. Image tensors are put
    together along their first axis; floating point ones take the model's type.
    """
    texts = [_with_continuation(vlm, row) for row in rows]
    width = max(text["input_ids"].shape[1] for text in texts)
    batch: Tensors = {}
    for name in texts[0]:
        fill = vlm.tokenizer.pad_token_id or 0 if name == "input_ids" else 0
        batch[name] = torch.cat([_padded(text[name], width, fill, pad) for text in texts])
    for name in rows[0].image:
        tensors = torch.cat([row.image[name] for row in rows])
        batch[name] = tensors.to(vlm.dtype) if tensors.is_floating_point() else tensors
    return {name: tensor.to(vlm.device) for name, tensor in batch.items()}


def _with_continuation(vlm: Vlm, row: Row) -> Tensors:
    """The row's text tensors with its continuation, whose token types the model's own rule for
    generated tokens decides (PaliGemma: part of the causal suffix; Gemma 3, Qwen-VL: plain text).
    """
    n_more = len(row.continuation)
    if n_more == 0:
        return row.text
    ids = torch.cat([row.text["input_ids"], torch.tensor([row.continuation])], dim=1)
    types = {name: tensor for name, tensor in row.text.items() if name != "input_ids"}
    longer = vlm.model._update_model_kwargs_for_generation(
        {}, dict(types), is_encoder_decoder=False
    )
    extended = {
        name: torch.cat([tensor, longer[name][:, -1:].expand(-1, n_more, *tensor.shape[2:])], dim=1)
        for name, tensor in types.items()
    }
    return {"input_ids": ids, **extended}


def _padded(tensor: torch.Tensor, width: int, fill: int, side: str) -> torch.Tensor:
    missing = width - tensor.shape[1]
    if missing == 0:
        return tensor
    padding = tensor.new_full((1, missing, *tensor.shape[2:]), fill)
    return torch.cat([padding, tensor] if side == "left" else [tensor, padding], dim=1)


def _size(tensors: tuple[Tensors, Tensors]) -> int:
    return sum(t.numel() * t.element_size() for part in tensors for t in part.values())

"""The demo model's tokenizer: every word of the scene language is one token, bytes cover the rest.

Lower case; white space counts as one space. So `Q: ...` after an image, after a newline or after
a space gives the same tokens, and a continuation may be encoded with or without its leading space.
"""

from __future__ import annotations

from typing import Final

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

BOS: Final = "<s>"
EOS: Final = "</s>"
PAD: Final = "<pad>"
UNK: Final = "<unk>"
IMAGE: Final = "<image>"

# Words of scenes, questions and rationales, and words that people use for the same things.
_LISTED: Final = """
q a an the this that these those there here it its they them their one ones both each every either
neither none nothing everything anything all any some other another others else only just exactly
single same different similar alike equal equals and or but while whereas because since so also too
as than then of in on at to from with without by between among next near beside not no yes i we you
see sees can could count find is are was were be been has have had do does did would say show shows
shown picture image scene photo tell look looks like looking seeing clear clearly visible present
what which how many much number numerous more most fewer less least bigger larger smaller where who
why when zero one two three four five six seven eight nine ten pair couple few several
cube cubes sphere spheres cylinder cylinders cone cones thing things object objects item items
block blocks ball balls box boxes color colors colour colours shape shapes size sizes material
materials made red blue green yellow purple gray grey small large big little tiny huge rubber metal
metallic matte shiny top middle bottom left right center centre corner row rows column columns side
edge above below under over directly stands sits lies placed located up down upper lower matches
match total altogether together differ agree matching first second third last
"""
WORDS: Final = tuple(_LISTED.split())


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Returns the demo's tokenizer: its merges are learned from the fixed word list above."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4000,
        special_tokens=[PAD, BOS, EOS, UNK, IMAGE],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted(set(WORDS)), trainer)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=UNK,
        additional_special_tokens=[IMAGE],
        padding_side="left",
        model_max_length=256,
        clean_up_tokenization_spaces=False,
    )

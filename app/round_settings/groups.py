"""The groups in which the settings of a loop are shown, in their order."""

from app.kit.sentences import Sentence
from app.round_settings.fields import Group

MODEL = Group(Sentence("Model"), Sentence("More of model"))
SAMPLING = Group(Sentence("Sampling"), Sentence("More of sampling"))
MONOLOGUE = Group(Sentence("Inner monologue"), Sentence("More of inner monologue"))
SELF_QUESTIONING = Group(Sentence("Self-questioning"), Sentence("More of self-questioning"))
PERCEPTION = Group(Sentence("Interactive perception"), Sentence("More of interactive perception"))
REINFORCEMENT = Group(Sentence("Learning from rewards"), Sentence("More of learning from rewards"))
JUDGING = Group(Sentence("Judging"), Sentence("More of judging"))
TRAINING = Group(Sentence("Training"), Sentence("More of training"))
END = Group(Sentence("Evaluation and end"), Sentence("More of evaluation and end"))

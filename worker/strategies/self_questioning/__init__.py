"""Self-questioning: the model describes a picture and then asks about it, as people would.

wording.py has the prompts, dialogues.py what is learned, asking.py what is asked, answering.py
the model's answers to it, probe.py the questions about a rationale, and procedure.py the strategy.
"""

from worker.strategies.self_questioning.procedure import SelfQuestioning

__all__ = ["SelfQuestioning"]

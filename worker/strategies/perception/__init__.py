"""Interactive perception: a model asks for what it wants to see of a picture.

`naming.py` finds the places that a text names; `alignment.py` teaches the first stage;
`procedure.py` is what the stages of a round call. What is shown for a request is a matter of the
adapter (worker/ml/inputs/perceiving.py).

Source: Li et al. 2023, "LMEye: An Interactive Perception Network for Large Language Models" (arXiv
2305.03701). docs/perception.md says what is the same here, and what differs.
"""

from worker.strategies.perception.procedure import InteractivePerception

__all__ = ["InteractivePerception"]

"""Inner monologue: a reasoner that sees only text asks, an observer that sees the picture answers.

`episodes.py` plays it, for many items and draws at once; `lessons.py` teaches it; `wording.py` has
the words that both use; `procedure.py` is what the stages of a round call.

Source: Yang et al. 2023, "Tackling Vision Language Tasks Through Learning Inner Monologues" (arXiv
2308.09970), sections 3 and 4.
"""

from worker.strategies.monologue.procedure import Monologue

__all__ = ["Monologue"]

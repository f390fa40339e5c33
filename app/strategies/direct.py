"""ILLUME's own strategy: the model explains its answer in one breath."""

from app.strategies.contract import Strategy

MODEL = "model"
"""The one role: the model that answers, explains and is trained."""

DIRECT = Strategy(name="direct", roles=(MODEL,))

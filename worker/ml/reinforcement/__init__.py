"""Reinforcement learning of an adapter: it is asked, what it says is rewarded, and it learns that.

`types.py` has inputs and outputs, `live.py` puts others on in place of the adapter that learns,
`scores.py` knows how probable is what was said, `grpo.py` is trl's trainer on our sequences, and
`reinforce.py` runs it, saves states and goes on.
"""

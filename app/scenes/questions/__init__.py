"""Questions about scenes: their structured form and its answers, their wordings, drawing them, and
reading them back.
"""

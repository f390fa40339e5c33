"""All strategies on the same lessons: what they answer, explain and cost."""

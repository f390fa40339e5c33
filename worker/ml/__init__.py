"""Loading, prompting, sampling and training of vision-language models: pure functions of their
arguments. Nothing here knows the database, the queue or the settings."""

from worker.ml.model.vision import hide_broken_torchvision

hide_broken_torchvision()  # before anything here imports transformers

"""Loading, prompting, sampling and training of vision-language models: pure functions of their
arguments. Nothing here knows the database, the queue or the settings."""

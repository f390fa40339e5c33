"""The demo model: a small vision-language model trained from scratch on rendered scenes."""

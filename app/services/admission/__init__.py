"""Which judged rationales may be trained on."""

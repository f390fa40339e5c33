"""Admission: chooses the judged rationales that may be trained on."""

"""Judging: items handed out, opinions on them stored, and practice before the first one."""

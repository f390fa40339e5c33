"""The shapes in which a release is written; each builds files from the manifest alone."""

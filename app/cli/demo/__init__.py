"""`illume demo`: a project to try everything with."""

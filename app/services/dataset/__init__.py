"""Items and images of a project: imported, corrected, left out."""

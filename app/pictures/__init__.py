"""Decides how a picture is seen, once for everybody: people, models, servers, releases.

Pure: Pillow and numpy alone, so that the code of models may use it as well.
"""

VERSION = 2
"""Raised whenever `seeing` or `files` would show a picture differently: small sizes that are kept,
and pictures that browsers keep, are then made and fetched again."""

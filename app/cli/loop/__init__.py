"""`illume loop`: all rounds with a critic in place of people."""

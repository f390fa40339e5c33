"""People: accounts, passwords, links, and taking a person out again."""

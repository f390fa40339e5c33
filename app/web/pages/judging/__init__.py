"""Pages on which people judge and practise."""

"""What people do with an item: get it, answer it, practise it."""

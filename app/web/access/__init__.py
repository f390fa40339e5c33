"""Who may do this: sessions, and the gates that return the object they let through."""

"""Sessions, and the gates that refuse a request or return the object that it is about."""

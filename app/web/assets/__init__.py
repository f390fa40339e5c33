"""Addresses of pages, pictures and static files, and the scripts that are joined from several."""

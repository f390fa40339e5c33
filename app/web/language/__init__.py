"""The languages of the pages and their catalogues."""

"""From values to HTML: the template environment, charts, Markdown, static files."""

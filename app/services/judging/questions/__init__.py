"""Questions that a model asked about images, decided on by people: handed out image by image, kept,
edited or dropped, and made items."""

"""Questions of models in front of people: their places at images, and the items that come of it."""

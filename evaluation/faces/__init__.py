"""How well a model's face map tells whether there is a face, a small one, or several."""

"""What makes a model's errors more frequent: measured reasons for the sentence that comes with an answer."""

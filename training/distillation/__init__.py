"""The student: a small network that learns what the teacher says of every view."""

"""Whether something beside the faces gives the label away."""

"""The face head: whether a cell of the picture shows a face."""

"""The teacher: CLIP's first blocks with adapters and a head, fitted to faces."""

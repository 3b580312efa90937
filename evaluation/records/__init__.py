"""What evaluations and calibrations write down, and read again."""

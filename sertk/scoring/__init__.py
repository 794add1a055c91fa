"""Scores and their uncertainty: accuracies, intervals, paired tests, calibration, the leak guard, RESULTS as text."""

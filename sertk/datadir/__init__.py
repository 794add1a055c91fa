"""Kaldi data folders and their text maps: read, check, repair, split, subset, combine."""

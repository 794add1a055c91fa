"""Kaldi's tables: specifiers, archives and scripts, sequential and random reading, atomic writing, manifests."""

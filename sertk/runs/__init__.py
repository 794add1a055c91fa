"""The folder of a run: lock, state, fingerprints, callbacks, preemption, model card."""

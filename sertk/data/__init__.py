"""Features to batches: keyed random numbers, chunks, masks, sampler, loader, device-resident chunks."""

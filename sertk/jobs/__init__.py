"""From tables to model files: training, heads, draws, embeddings."""

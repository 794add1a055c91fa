"""Audio files to features: decoding, resampling, log-mel filter banks, and mean and variance normalisation."""

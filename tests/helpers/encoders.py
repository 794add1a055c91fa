"""Speech encoders of transformers' own architectures, tiny and randomly initialised, in folders as people download them."""

import json
from pathlib import Path

RATE = 16000


def write_encoder(folder: Path, kind: str, norm: str = "layer", **front) -> Path:
    """Save an encoder of 2 layers of 16 numbers; `norm` is feat_extract_norm, `front` is for preprocessor_config.json."""
    import torch
    import transformers

    small = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32}
    convolutions = {"conv_dim": [8, 8, 8], "conv_kernel": [10, 8, 4], "conv_stride": [5, 8, 8], "conv_bias": False}
    positions = {"num_conv_pos_embeddings": 2 if kind == "data2vec-audio" else 8, "num_conv_pos_embedding_groups": 2}
    if kind == "whisper":
        config = transformers.WhisperConfig(
            vocab_size=60, num_mel_bins=16, d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_source_positions=50,
            max_target_positions=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        )  # fmt: skip
        extractor = transformers.WhisperFeatureExtractor(feature_size=16, sampling_rate=RATE, chunk_length=1)
        content = extractor.to_dict()
    else:
        options = {} if kind == "data2vec-audio" else {"feat_extract_norm": norm}
        config = transformers.AutoConfig.for_model(kind, **small, **convolutions, **positions, **options)
        content = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1, "sampling_rate": RATE,
                   "padding_value": 0.0, "do_normalize": True, "return_attention_mask": norm == "layer"}  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = transformers.AutoModel.from_config(config)
        for weight in network.parameters():  # of a scale at which the layers differ
            torch.nn.init.normal_(weight, std=0.3)
    network.save_pretrained(folder)
    (Path(folder) / "preprocessor_config.json").write_text(json.dumps(content | front))
    return Path(folder)

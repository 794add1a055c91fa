"""The front ends that ours is held against, and signals to do it with."""

import numpy as np

from sertk.frontend.options import FbankOptions

RATE = 16000


def signal(seconds: float = 1.0) -> np.ndarray:
    """A chirp in noise, whole numbers of a formula: the same on any machine, (samples,) float32."""
    n = np.arange(int(seconds * RATE), dtype=np.int64)
    noise = (n * n * 7919 + n * 104729) % 65521 % 1201 - 600
    t = n / RATE
    return np.rint(6000 * np.sin(2 * np.pi * (180 * t + 1400 * t * t)) + noise).astype(np.float32)


def native_fbank(samples: np.ndarray, options: FbankOptions) -> np.ndarray:
    """kaldi-native-fbank: Kaldi's code outside of Kaldi."""
    import kaldi_native_fbank as knf

    given = knf.FbankOptions()
    frame, mel = given.frame_opts, given.mel_opts
    frame.samp_freq, frame.frame_length_ms = options.sample_frequency, options.frame_length
    frame.frame_shift_ms, frame.window_type = options.frame_shift, options.window_type
    frame.preemph_coeff, frame.dither, frame.snip_edges = options.preemphasis_coefficient, 0, options.snip_edges
    frame.remove_dc_offset, frame.round_to_power_of_two = options.remove_dc_offset, options.round_to_power_of_two
    mel.num_bins, mel.low_freq, mel.high_freq = options.num_mel_bins, options.low_freq, options.high_freq
    given.use_energy, given.raw_energy = options.use_energy, options.raw_energy
    given.htk_compat, given.energy_floor = options.htk_compat, options.energy_floor
    fbank = knf.OnlineFbank(given)
    fbank.accept_waveform(options.sample_frequency, samples.tolist())
    fbank.input_finished()
    return np.array([fbank.get_frame(i) for i in range(fbank.num_frames_ready)]).reshape(-1, options.dim)


def torchaudio_fbank(samples: np.ndarray, options: FbankOptions) -> np.ndarray:
    """torchaudio.compliance.kaldi.fbank."""
    import torch
    from torchaudio.compliance.kaldi import fbank

    settings = {name.replace("-", "_"): value for name, value in options.settings().items()}
    return fbank(torch.from_numpy(samples)[None], **settings).numpy()


def double_fbank(samples: np.ndarray, options: FbankOptions) -> np.ndarray:
    """The textbook's computation in double precision, frame by frame (--snip-edges=true)."""
    from sertk.frontend.fbank import FLOOR, mel_filters, window

    rows = []
    for start in range(0, options.num_frames(len(samples)) * options.shift, options.shift):
        frame = samples[start : start + options.length].astype(np.float64)
        frame = frame - frame.mean()
        frame = frame - options.preemphasis_coefficient * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(frame * window(options), options.fft_length)) ** 2
        rows.append(power[: options.fft_length // 2] @ mel_filters(options).astype(np.float64))
    return np.log(np.maximum(rows, FLOOR))


def audible(feats: np.ndarray) -> np.ndarray:
    """Which values lie less than 70 dB under their frame's highest.

    What lies lower is next to the rounding of a float32 FFT: there the references differ from each other by 0.04.
    """
    return feats > feats.max(axis=1, keepdims=True) - 7 * np.log(10)

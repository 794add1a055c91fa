"""A valid data folder to break, fix, split and join, and what Kaldi would say of it."""

from pathlib import Path

UTTERANCES = [f"spk{s}-utt{u}" for s in range(4) for u in range(3)]


def make(folder, utterances=UTTERANCES, **more) -> Path:
    """A valid folder with every list that we know; more: other lists, {name: text or None}."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    speakers = sorted({utterance.split("-")[0] for utterance in utterances})
    lists = {
        "wav.scp": {utterance: f'sox "a  b/{utterance}.wav" -t wav - |' for utterance in utterances},
        "utt2spk": {utterance: utterance.split("-")[0] for utterance in utterances},
        "spk2utt": {s: " ".join(u for u in utterances if u.startswith(s)) for s in speakers},
        "utt2label": {utterance: "neu" for utterance in utterances},
        "utt2session": {utterance: "Ses01" for utterance in utterances},
        "utt2dialog": {utterance: "d1" for utterance in utterances},
        "utt2dur": {utterance: "1.5" for utterance in utterances},
        "utt2num_frames": {utterance: "7" for utterance in utterances},
        "text": {utterance: "hello  there" for utterance in utterances},
        "utt2ours": {utterance: "of our own" for utterance in utterances},
        "spk2gender": {speaker: "f" for speaker in speakers},
    }
    texts = {name: "".join(f"{key} {value}\n" for key, value in values.items()) for name, values in lists.items()}
    for name, text in (texts | more).items():
        if text is not None:
            (folder / name).write_text(text)
    return folder


def content(folder):
    return {path.name: path.read_text() for path in sorted(Path(folder).iterdir()) if path.is_file()}


def edit(path, function):
    lines = path.read_text().splitlines()
    path.write_text("".join(f"{line}\n" for line in function(lines)))


def kaldi_accepts(folder):
    """The rules of Kaldi's validate_data_dir.sh, written anew from its text: order, uniqueness, one set of utterances."""
    lists = {name: [line.split(" ", 1) for line in text.splitlines()] for name, text in content(folder).items()}
    utterances = [key for key, _ in lists["utt2spk"]]
    assert utterances
    for name, lines in lists.items():
        keys = [key for key, _ in lines]
        assert keys == sorted(set(keys), key=str.encode), name
        if name in ("utt2ours", "utt2perturb"):
            continue
        if (name.startswith("utt2") or name in ("text", "feats.scp", "segments")) or (
            name == "wav.scp" and "segments" not in lists
        ):
            assert keys == utterances, name
    by_speaker = sorted(lists["utt2spk"], key=lambda line: (line[1].encode(), line[0].encode()))
    assert by_speaker == lists["utt2spk"]
    inverse = {}
    for utterance, speaker in lists["utt2spk"]:
        inverse.setdefault(speaker, []).append(utterance)
    assert [[speaker, " ".join(found)] for speaker, found in sorted(inverse.items())] == lists["spk2utt"]
    if "segments" in lists:
        recordings = {line.split()[0] for _, line in lists["segments"]}
        assert recordings == {key for key, _ in lists["wav.scp"]}
    for name in lists:
        if name.startswith("spk2"):
            assert [key for key, _ in lists[name]] == sorted(inverse)
    return True

"""Identify files that are no readable recordings, with a remedy: pointers, web pages, archives, other codecs.

Sources: the magic numbers of each format's specification; git-lfs, docs/spec.md; RFC 1952 (gzip).
"""

import re

_CONVERT = "convert it (ffmpeg -i FILE -c:a pcm_s16le OUT.wav)"
# Containers to read with libsndfile. Its other readers (of matrices, of samplers' formats) are not used: they accept
# files that are no recordings.
_READ = re.compile(
    rb"RIFF....WAVE|RIFX....WAVE|(RF64|BW64)....WAVE|riff\x2e\x91\xcf\x11|FORM....(AIFF|AIFC)|\.snd|dns\.|caff|NIST_1A"
    rb"|fLaC|OggS|ID3|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]",
    re.DOTALL,
)
# Audio and video formats that ffmpeg converts.
_FOREIGN = (
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA or another ASF file"),
    (rb"#!AMR", "AMR"),
    (rb"#!SILK|\x02#!SILK", "SILK"),
    (rb"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (rb"FLV\x01", "Flash video"),
    (rb"RIFF....AVI ", "an AVI video"),
    (rb"\x00\x00\x01[\xb0-\xbf]", "an MPEG video"),
    (rb"G(?=.{187}G)", "an MPEG transport stream"),
    (rb"\xff[\xf0\xf1\xf8\xf9]|ADIF", "AAC without a container"),
    (rb"\x0b\x77", "AC-3"),
    (rb"MAC ", "Monkey's Audio"),
    (rb"wvpk", "WavPack"),
    (rb"TTA1", "True Audio"),
    (rb"MPCK|MP\+", "Musepack"),
    (rb"OFR ", "OptimFROG"),
    (rb"DSD ", "DSD"),
    (rb"\.RMF|\.ra\xfd", "RealAudio"),
    (rb"Creative Voice File", "VOC"),
    (rb"FORM....8SVX", "8SVX"),
)
_ARCHIVES = (
    (rb"\x1f\x8b", "gzip", "gunzip"),
    (rb"PK\x03\x04|PK\x05\x06", "zip", "unzip"),
    (rb"Rar!\x1a\x07", "rar", "unrar x"),
    (rb"7z\xbc\xaf\x27\x1c", "7z", "7z x"),
    (rb"BZh[1-9]", "bzip2", "bunzip2"),
    (rb"\xfd7zXZ\x00", "xz", "unxz"),
    (rb"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
    (rb".{257}ustar", "tar", "tar xf"),
)
_OTHERS = (
    (rb"\x00\x05\x16\x07", "a macOS resource file (._NAME), not the recording beside it"),
    (rb"%PDF", "a PDF file, not audio"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8", "a picture, not audio"),
    (rb"MThd", "MIDI: notes, not audio"),
    (rb"\x93NUMPY", "a numpy array, not audio"),
    (rb"\x7fELF|MZ", "a program, not audio"),
    (rb"\x89HDF|PAR1|SQLite format 3", "a data file, not audio"),
    (rb"\x00B[FDC][MV]|[^\s\0]{1,200} \x00B", "a Kaldi archive of matrices, not audio"),
    (rb"[^\s\0]{1,200} RIFF....WAVE", "a Kaldi archive of recordings: give it as ark:FILE"),
)
# Format codes of wav (mmreg.h) that libsndfile decodes: PCM, MS ADPCM, float, A-law, mu-law, IMA ADPCM, GSM 6.10, NMS
# ADPCM, G.721, MP3; and the names of others.
_DECODED = (0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0011, 0x0031, 0x0038, 0x0040, 0x0055, 0x0064)
_WAV_CODECS = {
    0x0014: "G.723", 0x0020: "Yamaha ADPCM", 0x0022: "TrueSpeech", 0x0028: "LPC", 0x0042: "G.723.1", 0x0045: "G.726",
    0x0050: "MPEG layer 2", 0x0083: "G.729", 0x0092: "Dolby AC-3", 0x0111: "G.723.1", 0x704F: "Opus",
    0x00FF: "AAC", 0x0130: "ACELP", 0x0160: "WMA 1", 0x0161: "WMA 2", 0x0162: "WMA Pro", 0x0163: "WMA lossless",
    0x1600: "AAC", 0x1602: "AAC", 0x1610: "AAC", 0x2000: "AC-3", 0x566F: "Vorbis", 0xA109: "Speex", 0xF1AC: "FLAC",
}  # fmt: skip


def refusal(data: bytes) -> str | None:
    """Say why a file is not a readable recording.

    Args:
        data: the file's content

    Returns:
        The end of a sentence that begins with the file's name, with a remedy: "is a git-lfs pointer, …"; None if the
        file may be a recording.
    """
    head = data[:1024]
    if head[:7] == b"NIST_1A":
        return _nist_coding(head)
    if head[:4] == b"OggS":
        return _ogg_codec(head)
    if _READ.match(head):
        # The byte order mark of UTF-16 looks like an mp3 frame.
        return _text(head) if head[:2] == b"\xff\xfe" else None
    if head.startswith(b"ajkg"):
        return "is compressed with shorten, which is not supported: convert it (ffmpeg -i FILE OUT.wav)"
    for magic, name in _FOREIGN:
        if re.match(magic, head, re.DOTALL):
            return f"is {name}, which is not supported: {_CONVERT}"
    if head.startswith((b"RIFF", b"RIFX")):
        return "is damaged, or not audio (a RIFF file without WAVE in its header)"
    for magic, name, program in _ARCHIVES:
        if re.match(magic, head, re.DOTALL):
            return f"is a {name} archive, not audio: unpack it ({program} FILE)"
    for magic, name in _OTHERS:
        if re.match(magic, head, re.DOTALL):
            return f"is {name}"
    if not data.strip(b"\0"):
        return f"is {len(data)} zero bytes, not audio: the copy or download has failed, fetch it again"
    return _text(head) or (
        f"is not in a known audio format (it begins with {head[:4].hex(' ')}: encrypted, damaged, or samples without "
        "a header, which 'sox -t raw -r 16000 -e signed -b 16 -c 1 FILE OUT.wav' gives one)"
    )


def unread_codec(code: int) -> str | None:
    """Say that a wav file's codec, the code of its fmt chunk, is not supported; None if it is."""
    if code in _DECODED:
        return None
    name = _WAV_CODECS.get(code)
    return (
        f"is a wav file with the codec 0x{code:04x}{f' ({name})' if name else ''}, which is not supported: {_CONVERT}"
    )


def unread_letters(data: bytes) -> str | None:
    """Say that the codec of an AIFF-C or CAF file is not supported; None for another file."""
    letters = chunk_codec(data)
    return letters and f"has the codec '{letters.strip()}', which is not supported: {_CONVERT}"


def chunk_codec(data: bytes) -> str | None:
    """The four-letter codec of an AIFF-C file's COMM chunk or a CAF file's desc chunk; None if uncompressed."""
    if data[:4] == b"FORM" and data[8:12] == b"AIFC" and (place := data.find(b"COMM", 12, 65536)) > 0:
        letters = data[place + 26 : place + 30]
    elif data[:4] == b"caff" and data[8:12] == b"desc":
        letters = data[28:32]
    else:
        return None
    if not re.fullmatch(rb"[ -~]{4}", letters) or letters.strip() in (b"lpcm", b"NONE", b"sowt", b"twos", b"raw"):
        return None
    return letters.decode()


def _nist_coding(head: bytes) -> str | None:
    coding = re.search(rb"sample_coding -s\d+ ([^\r\n]*)", head)
    coding_name = coding[1].decode("latin-1").strip() if coding else ""
    compression = re.search("shorten|wavpack|shortpack", coding_name)
    if not compression:
        return None
    return f"is compressed with {compression[0]} ({coding_name}): read it through 'sph2pipe -f wav -p FILE |'"


def _ogg_codec(head: bytes) -> str | None:
    # The first packet begins with the codec's name, after the page header of 27 bytes and its segment table.
    packet = head[27 + head[26] :] if len(head) > 26 else b""
    for magic, name in (
        (b"Speex   ", "Speex in Ogg"),
        (b"\x80theora", "Theora video"),
        (b"fishead", "an Ogg skeleton"),
    ):
        if packet.startswith(magic):
            return f"is {name}, which is not supported: {_CONVERT}"
    return None


def _text(head: bytes) -> str | None:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = head[: len(head) & ~1].decode("utf-16", "replace")
    else:
        try:
            text = head.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            if error.start < len(head) - 3:  # a character may be cut at the end of `head`
                return None
            text = head[: error.start].decode("utf-8-sig")
    if not text.strip() or re.search(r"[\x00-\x08\x0e-\x1f]", text):
        return None
    start, quoted = text.lstrip(), " ".join(text.split())[:40]
    if start.startswith("version https://git-lfs"):
        return "is a git-lfs pointer, not the recording: git lfs pull"
    if "/annex/objects/" in text.split("\n", 1)[0]:
        return "is a git-annex pointer, not the recording: git annex get FILE"
    if re.match(r"outs:\s*\n-", start):
        return "is a DVC pointer, not the recording: dvc pull"
    kind = "text"
    if re.match(r"<(!doctype\s+html|html|head|body)", start, re.IGNORECASE):
        kind = "a web page"
    elif start.startswith(("<?xml", "<Error")):
        kind = "XML"
    elif re.match(r'[{\[]\s*["{\[}\]]', start):
        kind = "JSON"
    failed = "" if kind == "text" else ": the download has failed, fetch it again"
    return f"is {kind} ('{quoted}'), not audio{failed}"

"""Writes golden_foreign.json: the embeddings that the toolkits' own code computes with the weights of foreign_weights.

usage: PYTHONPATH=tests/helpers:. python tests/models/make_golden_foreign.py [--full] WESPEAKER PYANNOTE-AUDIO 3D-SPEAKER

The three arguments are checkouts of wenet-e2e/wespeaker, pyannote/pyannote-audio and modelscope/3D-Speaker; einops must be
installed. --full writes nothing: it compares ours with theirs, stage by stage, on a ResNet34 of 32 channels, and prints
the table of docs/models.md.
"""

import importlib
import importlib.abc
import importlib.machinery
import inspect
import json
import sys
import types
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch
from foreign_weights import CASES, weights

SHAPES = {"wespeaker": {}, "pyannote": {}, "3d-speaker": {"second": 6}}
FULL = {"wespeaker": {"dim": 256}, "pyannote": {"dim": 256}, "3d-speaker": {"dim": 192, "second": 192}}


class LightningModel(torch.nn.Module):
    """As much of pyannote's Model (a LightningModule) as the front end asks for."""

    def __init__(self, **settings):
        super().__init__()
        self.hparams = types.SimpleNamespace()

    def save_hyperparameters(self, *names):
        given = inspect.currentframe().f_back.f_locals
        vars(self.hparams).update({name: given[name] for name in names})


def package(name, folder):
    """Make the modules in `folder` importable without running the __init__ of the package."""
    module = types.ModuleType(name)
    module.__path__ = [str(folder)]
    sys.modules[name] = module
    return module


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands for packages that the toolkits import and that their networks and front ends do not use."""

    names = ("librosa", "lmdb", "fire", "lightning", "torchmetrics", "asteroid_filterbanks", "yaml")

    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in self.names or name in ("speakerlab.process.augmentation", "pyannote.audio.core.task"):
            return importlib.machinery.ModuleSpec(name, self)
        return None

    def create_module(self, spec):
        return MagicMock(__name__=spec.name, __path__=[], __spec__=spec)

    def exec_module(self, module):
        pass


def load(wespeaker, pyannote, speakerlab):
    """origin -> (network class, function from float (1, samples) in ±1 to (frames, bins))."""
    sys.meta_path.insert(0, Absent())
    for name in ("", ".models", ".dataset", ".utils", ".frontend"):
        package(f"wespeaker{name}", Path(wespeaker, "wespeaker", *name.split(".")))
    processor = importlib.import_module("wespeaker.dataset.processor")

    def wespeaker_feats(samples):
        sample = [{"key": "k", "label": "l", "wav": samples, "sample_rate": 16000}]
        feats = processor.apply_cmvn(processor.compute_fbank(sample, num_mel_bins=80, dither=0.0))
        return next(iter(feats))["feat"]

    source = Path(pyannote, "src", "pyannote")
    package("pyannote", source)
    for name in ("", ".core", ".models", ".models.blocks", ".models.embedding", ".utils"):
        package(f"pyannote.audio{name}", Path(source, "audio", *name.split(".")))
    sys.modules["pyannote.audio.core.model"] = types.SimpleNamespace(Model=LightningModel)
    theirs = importlib.import_module("pyannote.audio.models.embedding.wespeaker")
    base = theirs.BaseWeSpeakerResNet()

    for name in ("", ".models", ".models.resnet", ".models.eres2net", ".process", ".utils"):
        package(f"speakerlab{name}", Path(speakerlab, "speakerlab", *name.split(".")))
    feats_of_3d = importlib.import_module("speakerlab.process.processor").FBank(80, 16000, mean_nor=True)
    return {
        "wespeaker": (importlib.import_module("wespeaker.models.resnet"), wespeaker_feats),
        "pyannote": (sys.modules["pyannote.audio.models.embedding.wespeaker.resnet"],
                     lambda samples: base.compute_fbank(samples[None, :1])[0]),
        "3d-speaker": (importlib.import_module("speakerlab.models.resnet.ResNet"), feats_of_3d),
    }  # fmt: skip


def network(module, state, channels, blocks, second):
    """Their ResNet with these weights, in evaluation mode."""
    dim = state["seg_1.weight"].shape[0]
    size = {"embedding_size": dim} if "speakerlab" in module.__name__ else {"embed_dim": dim}
    made = module.ResNet(module.BasicBlock, list(blocks), channels, 80, two_emb_layer=bool(second), **size)
    made.load_state_dict(state)
    return made.eval()


@torch.no_grad()
def embedding(made, feats):
    """(dim,), and the maps of every stage."""
    maps, hooks = {}, []
    for name in ("layer1", "layer2", "layer3", "layer4"):
        keep = lambda _, __, out, name=name: maps.__setitem__(name, out)  # noqa: E731
        hooks.append(getattr(made, name).register_forward_hook(keep))
    out = made(feats[None])
    for hook in hooks:
        hook.remove()
    return (out[-1] if isinstance(out, tuple) else out)[0], maps


def golden(toolkits):
    """What is kept."""
    found = {}
    for origin, (module, feats_of) in toolkits.items():
        made = network(module, weights(**SHAPES[origin]), 4, (1, 1, 1, 1), SHAPES[origin].get("second", 0))
        cases = {}
        for case, samples in CASES.items():
            wave = torch.from_numpy(np.atleast_2d(samples().T).astype(np.float32)) / 32768
            vector, maps = embedding(made, feats_of(wave))
            cases[case] = {"embedding": [float(f"{x:.7g}") for x in vector.tolist()],
                           "stages": [float(f"{m.mean():.7g}") for m in maps.values()]}  # fmt: skip
        vector, _ = embedding(made, torch.zeros(50, 80))
        cases["zeros"] = {"embedding": [float(f"{x:.7g}") for x in vector.tolist()]}
        found[origin] = cases
    return found


@torch.no_grad()
def compare(toolkits):
    """Print how far ours are from theirs on a whole ResNet34."""
    from foreign_weights import file_forms

    from sertk.frontend.extractor import FeatureExtractor
    from sertk.models.checkpoint import read_checkpoint
    from sertk.models.foreign import import_network
    from sertk.models.fuse import for_evaluation
    from sertk.models.inference import segment_outputs

    print("| toolkit | case | features, largest difference | stages 1 to 4, relative | embedding, relative | cosine |")
    print("|---|---|---|---|---|---|")
    for origin, (module, feats_of) in toolkits.items():
        shape = {"channels": 32, "blocks": (3, 4, 6, 3), **FULL[origin]}
        state = weights(**shape)
        made = network(module, state, 32, (3, 4, 6, 3), shape.get("second", 0))
        form = file_forms(state)["lightning" if origin == "pyannote" else "averaged"]
        ours, frontend, _ = import_network(read_checkpoint(form, "x"), "x", {}, origin)
        extract = FeatureExtractor.of_model(frontend, "x")
        fused = for_evaluation(ours, torch.device("cpu"))
        for case, samples in [*CASES.items(), ("zeros", None)]:
            if samples:
                wave = torch.from_numpy(np.atleast_2d(samples().T).astype(np.float32)) / 32768
                theirs, feats = feats_of(wave), extract(samples(), 16000)
            else:
                theirs, feats = torch.zeros(50, 80), np.zeros((50, 80), np.float32)
            apart = float((torch.from_numpy(feats) - theirs).abs().max())
            wanted, maps = embedding(made, theirs)
            x, stages = theirs.T[None, None], []
            x = ours.trunk.act(ours.trunk.bn(ours.trunk.stem(x)))
            for number, stage in enumerate(ours.trunk.stages, 1):
                for block in stage:
                    x, _ = block(x, x, None)
                want = maps[f"layer{number}"]
                stages.append(float((x - want).norm() / want.norm()))
            [(_, vector)] = segment_outputs(fused, [("x", feats)], "embedding", torch.device("cpu"))
            vector = torch.from_numpy(vector)
            relative = float((vector - wanted).norm() / wanted.norm())
            cosine = float(torch.nn.functional.cosine_similarity(vector.double(), wanted.double(), dim=0))
            print(f"| {origin} | {case} | {apart:.1e} | {' '.join(f'{s:.0e}' for s in stages)} | {relative:.1e} |"
                  f" {cosine:.9f} |")  # fmt: skip


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--full"]
    found = load(*words)
    if "--full" in sys.argv:
        compare(found)
    else:
        text = json.dumps({"made by": Path(__file__).name, "toolkits": golden(found)}, indent=1)
        Path(__file__).with_name("golden_foreign.json").write_text(text + "\n")

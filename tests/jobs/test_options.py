"""Options of the jobs."""

import subprocess
import sys
from dataclasses import fields

from support import ROOT

from sertk.jobs.options import HeadOptions, JobOptions, TrainingOptions


def test_options_and_settings_need_no_torch():
    """The binaries import them for --help, which must answer at once."""
    modules = "sertk.jobs.options, sertk.training.settings, sertk.training.progress, sertk.runs.preemption"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_all_training_jobs_share_their_options():
    shared = {field.name for field in fields(JobOptions)}
    for kind in (TrainingOptions, HeadOptions):
        assert shared < {field.name for field in fields(kind)}
        assert all(getattr(kind(), name) == getattr(JobOptions(), name) for name in shared)

import pytest

from sertk.errors import SertkError
from sertk.kaldi.specifiers import parse_rspecifier, parse_wspecifier


@pytest.mark.parametrize(
    "text, expected",
    [
        ("ark:-", {"script": False, "filename": "-"}),
        ("scp:a.scp", {"script": True, "filename": "a.scp"}),
        ("scp,p:a.scp", {"script": True, "permissive": True}),
        ("p,scp:a.scp", {"script": True, "permissive": True}),
        ("scp,p,np:a.scp", {"permissive": False}),
        ("ark,s,cs:a.ark", {"sorted": True, "called_sorted": True}),
        ("ark,s,ns:a.ark", {"sorted": False}),
        ("ark,cs,ncs:a.ark", {"called_sorted": False}),
        ("ark,o:a.ark", {"once": True}),
        ("ark,o,no:a.ark", {"once": False}),
        ("ark,t:a.ark", {"script": False}),
        ("ark, s, cs:a.ark", {"sorted": True, "called_sorted": True}),
        ("ark,b,f,nf,bg:a.ark", {"filename": "a.ark"}),
        ("ark:gunzip -c a:b.gz |", {"filename": "gunzip -c a:b.gz |"}),
        ("scp:C:15", {"filename": "C:15"}),
        ("ark:", {"filename": ""}),
    ],
)
def test_a_reader_is_understood_as_kaldi_understands_it(text, expected):
    found = parse_rspecifier(text)
    assert {name: getattr(found, name) for name in expected} == expected
    assert str(found) == text


@pytest.mark.parametrize(
    "text, expected",
    [
        ("ark:-", {"archive": "-", "script": None, "binary": True, "flush": False}),
        ("ark,t:x", {"archive": "x", "binary": False}),
        ("t,ark:x", {"binary": False}),
        ("ark,b,t,b:x", {"binary": True}),
        ("ark,f:x", {"flush": True}),
        ("ark,f,nf:x", {"flush": False}),
        ("scp:x.scp", {"archive": None, "script": "x.scp"}),
        ("scp,p:x.scp", {"script": "x.scp", "permissive": True}),
        ("ark,scp:x.ark,x.scp", {"archive": "x.ark", "script": "x.scp"}),
        ("ark,scp,t:x.ark,x.scp", {"archive": "x.ark", "script": "x.scp", "binary": False}),
        ("scp,ark:x.scp,x.ark", {"archive": "x.ark", "script": "x.scp"}),
        ("ark,scp:x.ark,a,b.scp", {"archive": "x.ark", "script": "a,b.scp"}),
        ("ark:| gzip -c > a,b.gz", {"archive": "| gzip -c > a,b.gz"}),
    ],
)
def test_a_writer_is_understood_as_kaldi_understands_it(text, expected):
    found = parse_wspecifier(text)
    assert {name: getattr(found, name) for name in expected} == expected
    assert str(found) == text


@pytest.mark.parametrize(
    "text",
    ["", "x.scp", "a.ark", ":x", "ark,scp:a,b", "ark,ark:x", "scp,q:x", "ark,:x", "SCP:x", "ark:x ", "ark:x\n", "t:x"],
)
def test_a_reader_that_kaldi_refuses_is_refused_by_name(text):
    with pytest.raises(SertkError, match="bad rspecifier"):
        parse_rspecifier(text)


@pytest.mark.parametrize(
    "text", ["", "x.ark", "ark,scp:x.ark", "ark,scp:,x", "ark,scp:x, ", "ark,ark:x", "scp,scp:x", "ark,s:x", "ark:x\t"]
)
def test_a_writer_that_kaldi_refuses_is_refused_by_name(text):
    with pytest.raises(SertkError, match="bad wspecifier"):
        parse_wspecifier(text)

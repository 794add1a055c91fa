"""The card of a system."""

from sertk.report.card import card_table, commands


def test_the_card_says_what_the_files_say(experiments, root):
    rows = dict(card_table(experiments[0].systems[0], experiments[0], cards=False).rows)
    assert rows["settings (train.conf)"] == "--epochs=3 --learning-rate=0.01"
    assert rows["training segments of each fold"] == "64, 64, 64, 64, 64"
    assert rows["model selection"] == "last" and rows["front end"] == "cmvn=segment"
    assert rows["folds"] == "scheme=loso part=all seed=0 label_map=ang:ang,hap:hap,neu:neu,sad:sad"


def test_the_card_has_the_commands_of_the_logs(tmp_path):
    (tmp_path / "log").mkdir()
    head = "# Running on host\n# Started at Sun\n# predict-emotion --fold {} 'a b' c\npredict-emotion: Done 9\n"
    for fold in (1, 2, 10):
        (tmp_path / "log" / f"predict.{fold}.log").write_text(head.format(fold))
    (tmp_path / "log" / "transfer.log").write_text("# transfer-head x\n# Started at Sun\n#\n")  # run.pl's order
    (tmp_path / "log" / "empty.log").write_text("nothing\n")
    assert commands(tmp_path) == [
        ["command (log/predict.*.log)", "predict-emotion --fold 1 'a b' c"],
        ["command (log/transfer.log)", "transfer-head x"],
    ]


def test_the_card_in_a_model_is_shown_too(experiments, root):
    from sertk.models.modelfile import write_checked

    content = {"card": {"command": "train-resnet", "settings": {"seed": 7}, "versions": {"torch": "2.11.0"}}}
    model = root / "exp" / "exp3" / "1" / "final.pt"
    write_checked(model, content)
    rows = dict(card_table(experiments[1].systems[0], experiments[1], cards=True).rows)
    model.unlink()  # the scores of the folder, which other tests read, are not by it
    assert rows["command (fold 1's model)"] == "train-resnet"
    assert (rows["settings (fold 1's model)"], rows["versions (fold 1's model)"]) == ("seed=7", "torch=2.11.0")

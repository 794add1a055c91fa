"""Options that several binaries share."""

import click

from sertk.cli.options import group, max_skip_option, seed_option


def test_grouped_options_bear_their_title():
    @click.command()
    @group("Sizes", click.option("--a"), click.option("--b"))
    @seed_option
    @max_skip_option
    def main(**_):
        pass

    titles = {param.name: getattr(param, "group", None) for param in main.params}
    assert titles == {"a": "Sizes", "b": "Sizes", "seed": None, "max_skip": None}
    assert {param.name: param.default for param in main.params}["max_skip"] == 0.05

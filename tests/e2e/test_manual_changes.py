"""What docs/manual/changes.md shows is what happens."""
import json
import re
import shlex

from helpers.env import ROOT

PAGE = (ROOT / "docs/manual/changes.md").read_text()


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.M | re.S)


def examples():
    """(command, what is printed) in the order of the page."""
    for block in blocks("console"):
        for command, printed in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M):
            yield shlex.split(command), printed


def without_moments(text):
    """Times, users and processes differ; so do the columns with them."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    text = re.sub(r"(TIME) +\d+ +\d+ +", r"\1 ", text)
    return re.sub(r" +", " ", re.sub(r" +$", "", text, flags=re.M))


def test_every_example_of_the_page(start):
    proxy = start.proxy(**json.loads(blocks("json")[0]))
    shown = list(examples())
    assert len(shown) >= 12
    for command, printed in shown:
        assert command[0] == "sallyport"
        done = proxy.control.command(*command[1:])
        # Warnings of the example's own making are no part of what it shows.
        told = "".join(line + "\n" for line in done.stderr.splitlines() if not line.startswith("warning:"))
        assert without_moments(done.stdout + told) == without_moments(printed), " ".join(command)

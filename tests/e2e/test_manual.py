"""The manual says what the program says."""
import subprocess

from helpers.env import BINARY, ROOT, patience

PAGE = ROOT / "docs/manual/configuration.md"


def printed(*arguments) -> str:
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, check=True,
                          timeout=patience(30)).stdout


def table_in(text: str, name: str) -> str:
    _, _, rest = text.partition(f"<!-- table: {name} -->\n")
    table, end, _ = rest.partition("<!-- end of table -->\n")
    assert end, f"no table {name}"
    return table


def test_the_page_of_the_keys_is_what_the_program_prints():
    assert table_in(PAGE.read_text(), "config") == printed("help", "config", "--markdown"), \
        "tools/check-docs.sh --update writes the page anew"


def test_the_list_of_commands_is_what_the_program_prints():
    started = (ROOT / "docs/manual/getting-started.md").read_text()
    assert f"$ sallyport help\n{printed('help')}```\n" in started


def test_the_page_of_the_control_socket_is_what_the_program_prints():
    page = (ROOT / "docs/manual/control.md").read_text()
    assert table_in(page, "control") == printed("help", "control", "--markdown"), \
        "tools/check-docs.sh --update writes the table anew"


def test_only_what_has_rows_comes_as_markdown():
    for arguments in (["--markdown"], ["check", "--markdown"]):
        result = subprocess.run([BINARY, "help", *arguments], capture_output=True, text=True,
                                check=False, timeout=patience(30))
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith("sallyport help: --markdown is for \"config\" and ")

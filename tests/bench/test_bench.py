"""The arithmetic and the documents of the benchmark; nothing is measured here."""

import math
import pathlib
import sys
import xml.dom.minidom

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

from lib import peers, report, scenarios, stats, svg  # noqa: E402


def result(peers_rounds):
    return {"date": "2026-01-01", "peers": peers_rounds}


def test_quantiles_lie_between_neighbours():
    assert stats.quantile([4, 1, 3, 2], 0.5) == 2.5
    assert stats.quantile([1, 2, math.nan, None], 1) == 2
    assert math.isnan(stats.median([]))


def test_windows_are_by_time_and_skip_what_is_outside():
    samples = [(0.05, 1), (0.06, 3), (0.15, 7), (9, 100)]
    windows = stats.by_window(samples, 0.1, 0, 1, 1)
    assert [(round(t, 2), v) for t, v in windows] == [(0.05, 3), (0.15, 7)]


def test_table_marks_the_best_median_and_leaves_gaps():
    scenario = next(s for s in scenarios.ALL if s.name == "http1-64")
    text = report.table(scenario, {"a": [{"us": 3, "busy": 1}, {"us": 1}, {"us": 2}], "b": [{"us": 1.5}],
                                   "c": []})
    assert "| a | 2.0 |" in text
    assert "| b | **1.5** |" in text
    assert "| c | - | - | - | - | - |" in text


def test_document_has_a_section_and_a_plot_for_each_result():
    figures = {"us": 2.0, "system": 0.5, "busy": 1.0, "per_second": 10}
    info = {"command": "bench/run", "versions": {"a": "1"}, "machine": {
        "processor": "p", "cores": 2, "memory_gb": 1, "system": "s", "kernel": "k", "openssl": "o",
        "virtual": True}}
    page, plots = report.document({"http1-64": result({"a": [figures]}), "gone": result({})}, info)
    assert "## HTTP/1.1 requests, 64 connections" in page
    assert list(plots) == ["http1-64.svg"]


@pytest.mark.parametrize("drawing", [
    svg.bars("a < b", [("sallyport", 1.0, 0.9, 1.2), ("other", 0.0, 0.0, 0.0)], "{:.1f}"),
    svg.lines("t", {"nginx": [(-1, 0.2), (0, 30), (1, 0)]}, "x", "y", (0, 5)),
])
def test_plots_are_well_formed(drawing):
    assert xml.dom.minidom.parseString(drawing).documentElement.tagName == "svg"


@pytest.mark.parametrize("peer", [p for p in peers.all_peers("/x/sallyport") if p.path()],
                         ids=lambda p: p.name)
def test_every_peer_is_told_of_its_port_origin_and_certificates(peer, tmp_path):
    certs = [("a.test", tmp_path / "a.pem"), ("b.test", tmp_path / "b.pem")]
    argv = peer.configure(peers.Settings(tmp_path, 20001, 20002, 1, certs))
    texts = " ".join(map(str, argv)) + "".join(
        f.read_text() for f in tmp_path.rglob("*") if f.is_file() and f.suffix != ".log")
    for wanted in ("20001", "20002", "a.pem", "b.pem"):
        assert wanted in texts

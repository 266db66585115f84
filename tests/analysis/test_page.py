#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of report.html: what is in it, and that it works in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
import unittest

from support import Folder, run_of

import page
import report
import synthetic_results
import tables

BROWSER = shutil.which("chromium")


class Page(Folder):
    def setUp(self):
        super().setUp()
        self.document = synthetic_results.document()

    def text(self):
        return report.compose_page(run_of(self.document))

    def test_it_is_one_file_and_has_every_number(self):
        text = self.text()
        self.assertNotRegex(text, r"""(src|href)=|https?:|@import|url\(""")
        run = run_of(self.document)
        self.assertIn(tables.verdict_words(run, tables.verdicts(run)), text)
        shown = page.data(run)
        self.assertEqual(sum(len(e["rows"]) for e in shown["experiments"]), len(run.guest_rows))
        figures = sum(len(row["figures"]) for e in shown["experiments"] for row in e["rows"])
        self.assertEqual(figures, sum(len(row) for row in run.guest_rows.values()))

    def test_the_answer_comes_first(self):
        text = self.text()
        self.assertLess(text.index("Rows where a rival wins"), text.index('id="figures"'))
        self.assertLess(text.index("worse in 1."), text.index("Rows where a rival wins"))

    def test_what_stands_in_a_run_stays_text(self):
        self.document["run"]["title"] = "<b>&</script>"
        self.document["experiments"][0]["title"] = "</script><script>alert(1)</script>"
        self.document["errors"].append({"cell": "x", "error": "got <img src=x onerror=alert(1)> and <none>"})
        self.document["cells"][1].update(status="failed", error="<i>odd</i>")
        text = self.text()
        self.assertIn("&lt;b&gt;&amp;&lt;/script&gt;", text)
        for tag in ("<script>alert", "<img", "<none>", "<i>"):
            self.assertNotIn(tag, text)
        self.assertIn("&lt;none", text)

    def test_figures_are_told_exactly(self):
        m = next(m for m in run_of(self.document).measurements if m.key.workload == "python3")
        self.assertEqual(m.value, 282100000)
        self.assertTrue(page._figure(m)["more"].startswith("282,100,000 instructions/op"), page._figure(m))


@unittest.skipUnless(BROWSER, "needs the package chromium")
class InABrowser(Folder):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "report.html"
        self.file.write_text(report.compose_page(run_of(synthetic_results.document())), encoding="utf-8")

    def seen(self, address=""):
        """The page's text as its program left it, and what the program said on the console."""
        # Root needs --no-sandbox; the page is our own.
        done = subprocess.run(
            [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
             f"--user-data-dir={self.folder / 'profile'}", "--enable-logging=stderr", "--dump-dom",
             "--virtual-time-budget=2000", f"{self.file.as_uri()}{address}"],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        figures = done.stdout.split('id="figures"')[1].split("<noscript>")[0]
        return figures, console

    def test_controls_work_and_nothing_is_wrong(self):
        plain, console = self.seen()
        self.assertEqual(console, [])
        self.assertIn("<b>5,492</b>", plain)
        self.assertIn("</b> ramfs", plain)
        self.assertIn('class="best"><b>1,297</b> daxfs', plain)
        changed, console = self.seen("#hide=ramfs,tmpfs&scale=log&rows=weights+touch")
        self.assertEqual(console, [])
        self.assertNotIn("</b> ramfs", changed)
        self.assertNotIn("walk-cold", changed)
        self.assertIn("weights mmap-touch-seq", changed)
        widths = [float(w) for w in re.findall(r"width: ([0-9.]+)%", changed)]
        # The subject, a hundred times less than the longest: a tenth of its length on the log scale.
        self.assertEqual((min(widths), max(widths)), (4.5, 45.0))

    def test_no_row_is_said(self):
        nothing, console = self.seen("#rows=nosuchrow")
        self.assertIn("No row matches.", nothing)
        self.assertEqual(console, [])


if __name__ == "__main__":
    unittest.main()

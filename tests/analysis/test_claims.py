#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of claims and their verdicts, and of the page and mail that tell them."""

from __future__ import annotations

import copy
import fnmatch
import re
import tomllib
import unittest
from dataclasses import replace

from support import ROOT, Folder, called, measurement, run_of

import claims
import evidence
import reproduce
import synthetic_results
import tables
from claims import Verdict

WORKLOADS = ROOT / "workloads"


def declared(folder: str) -> set[str]:
    """Ids in workloads/`folder`."""
    found = set()
    for path in (WORKLOADS / folder).glob("*.toml"):
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        found |= {entry["id"] for entry in document.get("workload", [document])}
    return found


def test_of(**fields):
    return claims.Test(**{"title": "t", "row": {}, "at_most": None, "rivals": (), "against": {}, "times": 1.0,
                          **fields})  # fmt: skip


def claim_of(*tests, untested=""):
    return claims.Claim("c", "It is said.", "announcement", "", untested, tests)


WALK = {"experiment": "latency", "workload": "walk-cold", "metric": "cost_per_op"}
TOUCH = {"experiment": "latency", "dataset": "rootfs", "workload": "mmap-touch-*", "metric": "cost_per_op"}


class Declared(unittest.TestCase):
    def test_every_id_exists(self):
        known = {
            "experiment": declared("experiments") | {"image-build"},
            "workload": declared("workloads"),
            "dataset": declared("datasets"),
            "filesystem": declared("filesystems") | declared("images"),
            "metric": {metric["id"] for metric in synthetic_results.declared_metrics()},
        }
        all_claims, limitations = claims.load()
        self.assertGreater(len(limitations), 3)
        for claim in all_claims:
            for test in claim.tests:
                named = [*test.row.items(), *test.against.items(), *(("filesystem", r) for r in test.rivals)]
                for field, value in named:
                    for pattern in value if isinstance(value, list) else [value]:
                        if field in known:
                            self.assertTrue(fnmatch.filter(known[field], pattern),
                                            f"{claim.id}: {field} {pattern} is not declared")  # fmt: skip

    def test_experiments_have_the_rivals_that_claims_name(self):
        experiments = {}
        for path in (WORKLOADS / "experiments").glob("*.toml"):
            document = tomllib.loads(path.read_text(encoding="utf-8"))
            experiments[document["id"]] = document.get("filesystems")
        for claim in claims.load()[0]:
            for test in claim.tests:
                there = experiments.get(test.row["experiment"])
                if there is not None:
                    self.assertEqual(set(test.rivals) - set(there), set(), claim.id)

    def test_mistakes_are_named(self):
        for text, word in (
            ('[[claim]]\nid = "a"\nsaid = "s"\nfrom = "question"\n', "either tests or what would test it"),
            ('[[claim]]\nid = "a"\nsaid = "s"\nfrom = "question"\n[[claim.test]]\ntitle = "t"\n'
             'row = {}\n', "one of at_most, rivals, against"),
            ('[[claim]]\nid = "a"\nsaid = "s"\nfrom = "question"\n[[claim.test]]\ntitle = "t"\n'
             'row = { flavour = "x" }\nat_most = 1\n', "flavour"),
            ('[[claim]]\nid = "a"\nfrom = "question"\nuntested = "x"\n', "KeyError: 'said'"),
        ):  # fmt: skip
            with self.subTest(word), self.assertRaisesRegex(claims.ClaimError, word):
                claims.load(self.file(text))

    def file(self, text):
        holder = Folder()
        holder.setUp()
        self.addCleanup(holder.doCleanups)
        path = holder.folder / "claims.toml"
        path.write_text(text, encoding="utf-8")
        return path


class Judged(unittest.TestCase):
    def verdict(self, *tests, document=None):
        run = run_of(document or synthetic_results.document())
        return claims.judge(run, [claim_of(*tests)])[0].verdict

    def test_against_the_best_rival(self):
        rivals = ("erofs-dax", "tmpfs")
        self.assertEqual(self.verdict(test_of(row=TOUCH, rivals=rivals)), Verdict.HOLDS)
        self.assertEqual(self.verdict(test_of(row=WALK, rivals=rivals)), Verdict.FAILS)
        self.assertEqual(self.verdict(test_of(row=WALK, rivals=("erofs-dax",))), Verdict.HOLDS)
        self.assertEqual(self.verdict(test_of(row=WALK, rivals=rivals, times=1.4)), Verdict.HOLDS)

    def test_a_missing_rival_leaves_it_untested(self):
        row = {"experiment": "latency", "workload": "read-seq-128k", "metric": "cost_per_op"}
        self.assertEqual(self.verdict(test_of(row=row, rivals=("tmpfs",))), Verdict.UNTESTED)
        self.assertEqual(self.verdict(test_of(row={**WALK, "workload": "none"}, at_most=1)), Verdict.UNTESTED)

    def test_a_missing_figure_of_the_subject_leaves_it_untested(self):
        document = synthetic_results.document()
        test = test_of(row=TOUCH, at_most=1e9)
        self.assertEqual(self.verdict(test, document=document), Verdict.HOLDS)
        lost = [m for m in document["measurements"] if m["workload"] == "mmap-touch-random"
                and (m["filesystem"], m["dataset"]) == ("daxfs", "rootfs")]  # fmt: skip
        for m in lost:
            m["value"] = None
        self.assertGreater(len(lost), 0)
        self.assertEqual(self.verdict(test, document=document), Verdict.UNTESTED)

    def test_of_several_runs_one_that_fails_decides(self):
        good, bad = synthetic_results.document(), synthetic_results.document()
        for m in bad["measurements"]:
            if m["filesystem"] == "daxfs" and m["workload"].startswith("mmap-touch"):
                m["value"], m["samples"] = 1e6, [1e6]
        claim = [claim_of(test_of(row=TOUCH, at_most=1e4))]
        judged = [claims.judge(run_of(document), claim)[0] for document in (good, bad)]
        self.assertEqual([j.verdict for j in judged], [Verdict.HOLDS, Verdict.FAILS])
        self.assertEqual(claims.merge(judged).verdict, Verdict.FAILS)
        self.assertEqual(claims.merge(judged[::-1]).verdict, Verdict.FAILS)

    def test_metrics_of_which_more_is_better_are_refused(self):
        with self.assertRaisesRegex(claims.ClaimError, "iops"):
            self.verdict(test_of(row={**WALK, "metric": "iops"}, at_most=1))

    def test_one_test_that_fails_decides(self):
        good, bad = test_of(row=TOUCH, at_most=1e9), test_of(row=WALK, at_most=1)
        untested = test_of(row={**WALK, "workload": "none"}, at_most=1)
        self.assertEqual(self.verdict(good, bad, untested), Verdict.FAILS)
        self.assertEqual(self.verdict(good, untested), Verdict.UNTESTED)
        self.assertEqual(self.verdict(good), Verdict.HOLDS)

    def test_against_another_row_of_the_subject(self):
        row = {"experiment": "duplication", "workload": "read-all", "metric": "host_pss_data_bytes",
               "instances": 3}  # fmt: skip
        self.assertEqual(self.verdict(test_of(row=row, against={"instances": 1})), Verdict.FAILS)
        self.assertEqual(self.verdict(test_of(row=row, against={"instances": 1}, times=2)), Verdict.HOLDS)

    def test_one_changed_figure_changes_its_verdict_only(self):
        document = synthetic_results.document()
        known, _ = claims.load()
        changed = copy.deepcopy(document)
        m = measurement(changed, experiment="program-start", filesystem="daxfs", workload="bash",
                        cache="cold", metric="cost_per_op")  # fmt: skip
        m["value"], m["samples"] = m["value"] * 9, [s * 9 for s in m["samples"]]
        # The synthetic run lacks the compressed rival: asked of the rivals that it has.
        known = [replace(c, tests=tuple(replace(t, rivals=tuple(r for r in t.rivals if r != "erofs-lz4hc"))
                                        for t in c.tests)) for c in known]  # fmt: skip
        before = [j.verdict for j in claims.judge(run_of(document), known)]
        after = [j.verdict for j in claims.judge(run_of(changed), known)]
        moved = [c.id for c, b, a in zip(known, before, after, strict=True) if b != a]
        self.assertEqual(moved, ["container-start"])


class Written(Folder):
    def setUp(self):
        super().setUp()
        self.document = synthetic_results.document()
        self.first = self.write("first", self.document)
        newer = copy.deepcopy(self.document)
        newer["environment"]["guest"]["kernel"] = "7.3.4"
        self.second = self.write("second", newer)

    def written(self, *runs):
        status, out, err = called(evidence.main, *runs)
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(len(out.split()), 2)
        return ((runs[0] / name).read_text(encoding="utf-8") for name in ("evidence.md", "evidence.txt"))

    def test_each_claim_has_a_verdict_and_kernels_are_named(self):
        known, limitations = claims.load()
        page, mail = self.written(self.first, self.second)
        flat = re.sub(r"\s+", " ", mail)
        for claim in known:
            self.assertIn(f"| {claim.said} |", page)
            self.assertIn(claim.said, flat)
        for text in limitations:
            self.assertIn(f"* {text}", page)
            self.assertIn(text, flat)
        self.assertIn("holds on 6.12.117, holds on 7.3.4", page)
        self.assertIn("**not tested here.**", page)

    def test_a_mail_is_72_columns_wide(self):
        _, mail = self.written(self.first, self.second)
        self.assertEqual([line for line in mail.splitlines() if len(line) > 72], [])
        self.assertEqual([c for c in mail if c == "\t"], [])

    def test_where_a_rival_wins_comes_before_the_claims(self):
        page, mail = self.written(self.first)
        self.assertLess(page.index("## Where a rival wins"), page.index("## Claims"))
        self.assertIn("5,492 of tmpfs", re.sub(r"\s+", " ", mail))
        run = run_of(self.document)
        self.assertIn(tables.verdict_words(run, tables.verdicts(run)), page)

    def test_runs_of_one_kernel_are_judged_together(self):
        half = copy.deepcopy(self.document)
        half["measurements"] = [m for m in half["measurements"] if m["experiment"] != "duplication"]
        known = [c for c in claims.load()[0] if c.id == "zero-copy"]
        known = [replace(c, tests=c.tests[:1]) for c in known]
        runs = [run_of(half), run_of(self.document)]
        self.assertEqual(claims.judge(runs[0], known)[0].verdict, Verdict.UNTESTED)
        page = "\n".join(evidence.page(runs, known, []))
        self.assertIn("holds on 6.12.117", page)

    def test_failure_is_one_line(self):
        status, out, err = called(evidence.main, self.folder / "absent")
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(len(err.splitlines()), 1)


class Reproduce(unittest.TestCase):
    def test_the_guide_has_every_claim_with_its_command(self):
        guide = (ROOT / "docs" / "reproduce.md").read_text()
        self.assertEqual(guide, reproduce.placed(guide), "run analysis/reproduce.py docs/reproduce.md")
        for claim in claims.load()[0]:
            self.assertIn(f"| `{claim.id}`: ", guide)

    def test_a_file_without_its_marks_is_refused(self):
        with self.assertRaisesRegex(claims.ClaimError, "expected the marks"):
            reproduce.placed("no marks")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Figures, a file for each kind; figures.py says which of a run are drawn."""

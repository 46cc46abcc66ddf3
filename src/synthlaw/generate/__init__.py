"""Synthetic documents from natural ones: recipes, engines, the runner, the post-filter.

documents ──► recipe (prompts) ──► engine (a language model) ──► post-filter ──► documents
                                                                     └──► dropped, failed
"""

"""Protein: cost-aware Bayesian optimization around the Pareto front of score and cost.

After PufferLib's Protein (https://github.com/PufferAI/PufferLib) and its ancestor CARBS (Fetterman et al. 2023,
"Tune As You Scale", arXiv:2306.08055). It imports numpy and scipy: load `optimizer` in the optimizer's own process.
`docs/protein.md` explains the method.
"""

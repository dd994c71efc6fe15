"""Protein: cost-aware Bayesian optimization around the Pareto front of score and cost.

After PufferLib's Protein (https://github.com/PufferAI/PufferLib) and its ancestor CARBS (Fetterman et al. 2023,
"Tune As You Scale", arXiv:2306.08055). The only package that imports torch and gpytorch: load `optimizer` in the
optimizer's own process. `settings` is pure Python.
"""

"""How architectures are measured: plan, data, training, evaluation, storage, judgement.

Knows neither the architectures nor the reports.
"""

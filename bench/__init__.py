"""How architectures are measured and judged. Knows neither the architectures nor the reports.

    spec         what a net's file imports
    core/        the nouns: no torch, no files, no database
    system/      this machine: environment and devices, processes, files, text
    data/        datasets as whole verified arrays
    analysis/    records in, verdicts out
    store/       the database: what runs leave behind
    models/      nets as objects: found, loaded, built, counted, hashed, checked
    training/    one run, from fresh weights to final ones
    execution/   who trains: the schedule of a plan, workers here and on a cluster, the quiet phase
    studies/     what a command does: a comparison, a tuning, a check by the gate
    cli/         flags, read into options

Imports go down only: cli may know studies, studies execution, and so on up to this list's top.
"""

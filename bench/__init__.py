"""How architectures are measured: plan, data, training, evaluation, storage, judgement.

    data/      verified datasets as whole arrays, and how they are split
    nets/      finds architectures, loads them, hashes their source, counts them, checks them before training
    training/  the loop and what it needs: tensors, augmentation, schedules, stopping, clock, evaluation, weights
    measure/   speed and memory, in a quiet phase after training
    store/     the database: schema, migrations, runs, studies

On top lie what all rooms share (the nouns of `spec`, errors, records, seeds …) and what joins them: `suite` plans,
`workers` run, `worker` takes one run through the rooms. Knows neither the architectures nor the reports.
"""

"""The scoring run: scorers at work on rows, live in the worker or on past rows, in processes of their own.

What a scorer is stands in `llmwatch.scorers.protocol`. Here: which rows one gets (`spec`), the processes that run it
(`pool`, `child`), what becomes of a result (`results`), the live run (`live`) and the past (`past`).
"""

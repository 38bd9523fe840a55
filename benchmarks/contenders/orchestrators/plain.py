"""What a careful person's shell script would do: candidates in parallel, nothing else."""

from concurrent.futures import ThreadPoolExecutor

from steps import CANDIDATES, evaluate, prepare, train

prepare()
with ThreadPoolExecutor() as pool:
    list(pool.map(train, CANDIDATES))
evaluate(0)

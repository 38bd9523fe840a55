"""The packages of images compute right, and end, in a fork of an interpreter that has loaded them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sluice_local.sagemaker.containers.images import ImageCache
from sluice_local.settings import REPOSITORY, Settings

WORLD = REPOSITORY / "tests/integration/containers/warm_world.py"
IMAGES = ("sagemaker-scikit-learn:1.4-2-cpu-py3", "sagemaker-xgboost:3.2-0")
LOADS = """
import importlib.util, os, time
import joblib, numpy, pandas, pyarrow.dataset, scipy.linalg, sklearn.ensemble
if importlib.util.find_spec("xgboost"):
    import xgboost
while not os.path.exists("seen"):
    time.sleep(0.01)
"""
WORK = """
import time
began = time.process_time()
import hashlib, importlib.util, joblib, numpy, pandas, pyarrow.compute, pyarrow.dataset, scipy.linalg
from concurrent.futures import ProcessPoolExecutor
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
loaded_s = time.process_time() - began
found = {}
def note(name, array):
    rounded = numpy.ascontiguousarray(numpy.round(array, 9))
    found[name] = hashlib.sha256(rounded.tobytes()).hexdigest()[:12]
random = numpy.random.default_rng(1)
x = random.normal(size=(300, 20))
y = (x[:, 0] + random.normal(size=300) > 0).astype(int)
large = random.normal(size=(500, 500))
note("numpy", large @ large)
note("scipy", scipy.linalg.eigvalsh(x.T @ x))
note("threads", RandomForestClassifier(10, n_jobs=2, random_state=0).fit(x, y).predict_proba(x))
note("OpenMP", HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(x, y).predict_proba(x))
note("OpenMP and BLAS", KMeans(3, n_init=2, random_state=0).fit(x).cluster_centers_)
frame = pandas.DataFrame(x).rename(columns=str)
frame.to_parquet("frame.parquet")
note("pandas", pandas.read_parquet("frame.parquet").groupby(y).mean().to_numpy())
found["pyarrow"] = pyarrow.dataset.dataset("frame.parquet").count_rows()
found["arrow's threads"] = pyarrow.compute.sum(pyarrow.array(range(10))).as_py()
if __name__ == "__main__":
    for backend in ("loky", "multiprocessing", "threading"):
        parallel = joblib.Parallel(n_jobs=2, backend=backend)
        found[backend] = parallel(joblib.delayed(pow)(i, 2) for i in range(4))
    with ProcessPoolExecutor(2) as pool:
        found["forks of the fork"] = list(pool.map(abs, range(-4, 0)))
    if importlib.util.find_spec("xgboost"):
        import xgboost
        note("xgboost", xgboost.XGBClassifier(n_estimators=5, n_jobs=2).fit(x, y).predict_proba(x))
    print(found, numpy.random.rand(), loaded_s, sep="|")
"""


@pytest.mark.thorough
@pytest.mark.parametrize("image", IMAGES)
def test_packages_compute_the_same_in_a_fork(image: str, tmp_path: Path) -> None:
    cache = ImageCache(Settings(port=0, state_dir=Path()).image_cache)
    environment = cache.environment(f"683313688378.dkr.ecr.us-east-1.amazonaws.com/{image}")
    (tmp_path / "loads.py").write_text(LOADS)
    (tmp_path / "work.py").write_text(WORK)
    job = {"command": ["python3", "work.py"], "variables": {}, "folder": str(tmp_path)}
    first = job | {"command": ["python3", "loads.py"], "seen": str(tmp_path / "seen")}
    done = subprocess.run(
        [sys.executable, str(WORLD), str(environment.python.parent.parent)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{REPOSITORY}/layers/common:{REPOSITORY}/local"},
        # What the second script loads besides is loaded before the third.
        input=json.dumps([first, job | {"cold": True}, job, job]),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    _, *jobs = json.loads(done.stdout)
    assert [code for code, *_ in jobs] == [0, 0, 0], jobs
    found, drawn, loading_s = zip(*(output.split("|") for _, output, _ in jobs), strict=True)
    assert found[1] == found[2] == found[0]
    assert len(set(drawn)) == len(jobs), "each job draws numbers of its own"
    cold, _, warm = map(float, loading_s)
    assert warm < cold / 4, "it was no fork"

"""Training script (script mode): boost trees, and go on from a checkpoint if an instance was taken away."""

import argparse
import os
from pathlib import Path

import xgboost
from deliveries import FEATURES, read_split

CHECKPOINTS = Path("/opt/ml/checkpoints")
EVERY_ROUNDS = 20


def matrix(folder):
    _, features, labels = read_split(folder)
    return xgboost.DMatrix(features, labels, feature_names=list(FEATURES))


class Checkpoint(xgboost.callback.TrainingCallback):
    """Save the model now and then, where SageMaker keeps it: on spot instances, the folder exists."""

    def after_iteration(self, model, epoch, evals_log):
        if CHECKPOINTS.is_dir() and (epoch + 1) % EVERY_ROUNDS == 0:
            model.save_model(CHECKPOINTS / f"rounds-{model.num_boosted_rounds():05d}.json")
        return False


def last_checkpoint():
    found = sorted(CHECKPOINTS.glob("rounds-*.json")) if CHECKPOINTS.is_dir() else []
    if not found:
        return None
    model = xgboost.Booster()
    model.load_model(found[-1])
    print(f"continue from {found[-1].name}")
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--max_depth", type=int, default=4)
    parser.add_argument("--eta", type=float, default=0.2, help="the share of each tree's weight")
    parser.add_argument("--subsample", type=float, default=0.9, help="the share of rows that a tree sees")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--validation", default=os.environ.get("SM_CHANNEL_VALIDATION"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
    arguments = parser.parse_args()

    parameters = {
        "objective": "binary:logistic",
        "eval_metric": "auc",
        "tree_method": "hist",
        "max_depth": arguments.max_depth,
        "eta": arguments.eta,
        "subsample": arguments.subsample,
        "seed": arguments.seed,
        "nthread": int(os.environ.get("SM_NUM_CPUS", "1")),
    }
    former = last_checkpoint()
    done = former.num_boosted_rounds() if former else 0
    train, validation = matrix(arguments.train), matrix(arguments.validation)
    model = xgboost.train(
        parameters,
        train,
        num_boost_round=max(1, arguments.rounds - done),
        # pipeline.yaml reads the metric of `validation` from the lines that this prints.
        evals=[(train, "train"), (validation, "validation")],
        verbose_eval=EVERY_ROUNDS,
        xgb_model=former,
        callbacks=[Checkpoint()],
    )
    print(f"trained on {train.num_row()} deliveries, {model.num_boosted_rounds()} trees")
    model.save_model(Path(arguments.model_dir) / "xgboost-model.json")


if __name__ == "__main__":
    main()

"""The commands, called in this process as a shell calls them; each gives its exit status."""

import cli
import predict
import train


def run_train(*argv: str) -> int:
    return cli.run(lambda: train.train(train.arguments(argv)))


def run_predict(*argv: str) -> int:
    return cli.run(lambda: predict.predict(predict.arguments(argv)))


def run_score(output: str, *argv: str) -> int:
    return run_predict("candidates.parquet", "--data", "data", "--output", output, *argv)

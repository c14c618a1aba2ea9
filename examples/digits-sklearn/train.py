#!/usr/bin/python3
"""Trains the digit classifier of this example and writes model/digits.joblib and the metrics of
model/config.json.

    ./train.py            trains, measures, writes
    ./train.py --check    trains and measures, writes nothing

The data are the 1,797 digits of 8x8 pixels that come with scikit-learn (python3-sklearn, from the
UCI ML repository). Every fifth image of each digit is held out and never trained on; the figures
are measured on those. A .joblib is a pickle: it is to be read by the scikit-learn that wrote it,
which here is the one of Debian 12.
"""
import argparse
import json
import os

import joblib
import numpy
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "model", "digits.joblib")
CONFIG = os.path.join(HERE, "model", "config.json")


def split():
    """(training images, training labels, test images, test labels); pixels are 0..16."""
    digits = load_digits()
    held_out = numpy.zeros(len(digits.target), dtype=bool)
    for digit in range(10):
        held_out[numpy.flatnonzero(digits.target == digit)[4::5]] = True
    return (digits.data[~held_out], digits.target[~held_out],
            digits.data[held_out], digits.target[held_out])


def train(images, labels):
    model = make_pipeline(MinMaxScaler(), SVC(C=10, gamma=0.05))
    return model.fit(images, labels)


def measure(model, images, labels):
    """The metrics that config.json knows; means over the ten digits."""
    found = model.predict(images)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, found, average="macro")
    return {"accuracy": round(accuracy_score(labels, found), 4), "precision": round(precision, 4),
            "recall": round(recall, 4), "f1": round(f1, 4)}


def main():
    parser = argparse.ArgumentParser(description="Trains the digit classifier.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    write = not parser.parse_args().check

    train_images, train_labels, test_images, test_labels = split()
    model = train(train_images, train_labels)
    metrics = measure(model, test_images, test_labels)
    if write:
        joblib.dump(model, MODEL, compress=3)
        with open(CONFIG) as file:
            config = json.load(file)
        config["metrics"] = metrics
        with open(CONFIG, "w") as file:
            json.dump(config, file, indent=2)
            file.write("\n")
    print(json.dumps({"train": len(train_labels), "test": len(test_labels), **metrics}))


if __name__ == "__main__":
    main()

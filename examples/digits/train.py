#!/usr/bin/python3
"""Trains the digit classifier of this example and writes model/weights.json and the metrics of
model/config.json.

    ./train.py            trains, measures, writes
    ./train.py --check    trains and measures, writes nothing

The data are the 1,797 digits of 8x8 pixels that come with scikit-learn (python3-sklearn, from the
UCI ML repository). Every fifth image of each digit is held out and never trained on; the figures
are measured on those, with the weights as they are written (rounded to four decimals).
"""
import argparse
import json
import os

import numpy
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from sklearn.neural_network import MLPClassifier

HERE = os.path.dirname(os.path.abspath(__file__))
WEIGHTS = os.path.join(HERE, "model", "weights.json")
CONFIG = os.path.join(HERE, "model", "config.json")
HIDDEN = 96  # and alpha: the best of those tried by cross-validation on the training images alone
DECIMALS = 4


def split():
    """(training images, training labels, test images, test labels); pixels are 0..16."""
    digits = load_digits()
    held_out = numpy.zeros(len(digits.target), dtype=bool)
    for digit in range(10):
        held_out[numpy.flatnonzero(digits.target == digit)[4::5]] = True
    return (digits.data[~held_out], digits.target[~held_out],
            digits.data[held_out], digits.target[held_out])


def train(images, labels):
    """Layers as [{"weights": one row an output, "bias": one number an output}]."""
    network = MLPClassifier(hidden_layer_sizes=(HIDDEN,), alpha=0.3, max_iter=600, random_state=8)
    network.fit(images / 16, labels)
    return [{"weights": numpy.round(weights.T, DECIMALS).tolist(),
             "bias": numpy.round(bias, DECIMALS).tolist()}
            for weights, bias in zip(network.coefs_, network.intercepts_)]


def predict(layers, images):
    values = images / 16
    for number, layer in enumerate(layers):
        values = values @ numpy.array(layer["weights"]).T + numpy.array(layer["bias"])
        if number + 1 < len(layers):
            values = numpy.maximum(values, 0)
    return values.argmax(axis=1)


def measure(layers, images, labels):
    """The metrics that config.json knows; means over the ten digits."""
    found = predict(layers, images)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, found, average="macro")
    return {"accuracy": round(accuracy_score(labels, found), 4), "precision": round(precision, 4),
            "recall": round(recall, 4), "f1": round(f1, 4)}


def main():
    parser = argparse.ArgumentParser(description="Trains the digit classifier.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    write = not parser.parse_args().check

    train_images, train_labels, test_images, test_labels = split()
    layers = train(train_images, train_labels)
    metrics = measure(layers, test_images, test_labels)
    if write:
        with open(WEIGHTS, "w") as file:
            json.dump({"layers": layers}, file, separators=(",", ":"))
            file.write("\n")
        with open(CONFIG) as file:
            config = json.load(file)
        config["metrics"] = metrics
        with open(CONFIG, "w") as file:
            json.dump(config, file, indent=2)
            file.write("\n")
    print(json.dumps({"train": len(train_labels), "test": len(test_labels), **metrics}))


if __name__ == "__main__":
    main()

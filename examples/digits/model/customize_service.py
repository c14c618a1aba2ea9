"""Recognises a handwritten digit. Plain Python: the standard library is all it needs.

In:  {"image": [[p, ...8], ...8]}, pixels from 0 (paper) to 16 (ink)
Out: {"digit": 3, "probability": 0.98, "probabilities": [one for each digit]}
"""
import json
import math
import os

from model_service.model_service import SingleNodeService


class DigitService(SingleNodeService):
    def __init__(self, model_name, model_path):
        super().__init__(model_name, model_path)
        with open(os.path.join(model_path, "weights.json")) as file:
            self.layers = json.load(file)["layers"]

    def _preprocess(self, data):
        image = data.get("image")
        if not isinstance(image, list) or len(image) != 8:
            raise ValueError("image must be 8 rows of 8 pixels")
        for row in image:
            if not isinstance(row, list) or len(row) != 8:
                raise ValueError("image must be 8 rows of 8 pixels")
            for pixel in row:
                if type(pixel) not in (int, float) or not 0 <= pixel <= 16:
                    raise ValueError("a pixel must be a number from 0 to 16, not %r" % (pixel,))
        return [pixel / 16 for row in image for pixel in row]

    def _inference(self, data):
        values = data
        for number, layer in enumerate(self.layers):
            if number:
                values = [max(value, 0) for value in values]
            values = [bias + sum(weight * value for weight, value in zip(weights, values))
                      for weights, bias in zip(layer["weights"], layer["bias"])]
        return values

    def _postprocess(self, data):
        largest = max(data)
        powers = [math.exp(value - largest) for value in data]
        probabilities = [round(power / sum(powers), 4) for power in powers]
        digit = data.index(largest)
        return {"digit": digit, "probability": probabilities[digit], "probabilities": probabilities}
